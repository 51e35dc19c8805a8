package population

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"resound/bench/wire"
)

// The lanes of a presence channel.
const (
	laneArrivals = iota
	laneDepartures
	presenceLanes
)

// Join subscribes connection i, which is open without a subscription, to a presence
// channel as user, and returns the number of members it was told.
func (p *Population) Join(ctx context.Context, i int, channel string, user uint32) (members int, err error) {
	err = p.await(ctx, func() {
		if err := p.canJoin(i); err != nil {
			p.joins[int32(i)] = &join{err: err}
			return
		}
		p.joins[int32(i)] = &join{pending: true}
		p.sendSubscribeAs(int32(i), channel, user)
	}, func() (bool, error) {
		j := p.joins[int32(i)]
		if j.pending && p.conns[i].stage != stageSubscribed {
			return true, fmt.Errorf("lost before its subscription: %q", p.totals.Errors)
		}
		members = j.members
		return !j.pending, j.err
	})
	return members, err
}

// join is how far a connection came that joins a presence channel.
type join struct {
	pending bool
	members int
	err     error
}

func (p *Population) canJoin(i int) error {
	switch {
	case i < 0 || i >= p.options.Connections:
		return fmt.Errorf("connection %d of %d", i, p.options.Connections)
	case p.options.App == nil || p.options.Channel != "":
		return errors.New("the connections are there for another channel")
	case p.conns[i].stage != stageSubscribed:
		return errors.New("the connection is not open")
	}
	return nil
}

// Leave unsubscribes connection i. There is no answer to wait for.
func (p *Population) Leave(ctx context.Context, i int, channel string) error {
	var failed error
	return p.await(ctx, func() {
		if failed = p.canJoin(i); failed == nil {
			failed = p.write(&p.conns[i], wire.AppendMasked(nil, wire.OpText, wire.AppendUnsubscribe(nil, channel), p.mask.Uint32()))
		}
	}, func() (bool, error) { return true, failed })
}

// sendSubscribeAs sends a signed subscription.
func (p *Population) sendSubscribeAs(i int32, channel string, user uint32) {
	b := p.options.App.AppendSubscribeAs(nil, channel, p.socketIDs[i], user)
	if err := p.write(&p.conns[i], wire.AppendMasked(nil, wire.OpText, b, p.mask.Uint32())); err != nil {
		p.fail(i, fmt.Errorf("send subscribe: %w", err))
	}
}

// onPresence handles what a presence channel brings, and reports false for other
// messages.
func (p *Population) onPresence(i int32, payload []byte) bool {
	j := p.joins[i]
	if j != nil && j.pending && wire.Classify(payload) == wire.KindSubscribed {
		j.pending = false
		j.members, j.err = membersIn(payload)
		return true
	}
	e, ok := wire.ReadMemberEvent(payload)
	if ok && p.options.Channel != "" { // those who come and go observe nothing
		p.onMember(i, e)
	}
	return ok
}

// membersIn returns the count in the roster of a subscription_succeeded message.
func membersIn(payload []byte) (int, error) {
	_, rest, found := bytes.Cut(payload, []byte(`count\":`))
	end := bytes.IndexAny(rest, ",}")
	if !found || end < 0 {
		return 0, errors.New("subscription_succeeded has no count of members")
	}
	return strconv.Atoi(string(rest[:end]))
}

// onMember accounts for a member that comes or goes.
//
// Pusher: member_added once when a user's first connection comes, member_removed
// once when its last one leaves.
func (p *Population) onMember(i int32, e wire.MemberEvent) {
	if e.User <= uint32(p.options.Total) {
		if e.Added {
			p.totals.Arrivals++
		} else {
			p.totals.Departures++
		}
		return
	}
	number := e.User - uint32(p.options.Total)
	lane := laneDepartures
	if e.Added {
		lane = laneArrivals
	} else if !p.ledger.seen(i, laneArrivals, number) {
		p.totals.Reordered++ // gone before it came
	}
	// Users come one beside the other: the order among them is not the server's.
	if outcome, _ := p.ledger.observeLane(i, lane, number); outcome == wire.Duplicated {
		p.totals.Duplicated++
		return
	}
	p.totals.Received++
}
