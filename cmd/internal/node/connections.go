package node

import (
	"context"

	"resound/cmd/internal/control"
	"resound/loop"
	"resound/pusher"
)

// visitConns is how many connections a visit looks at. Asking the kernel takes
// most of the time: 128 take some 0.3 ms.
const visitConns = 128

// connRow is what a visit brings home of a connection.
type connRow struct {
	session pusher.Session
	state   loop.ConnState
	age     uint32 // seconds
}

// Connections implements control.Node.
func (n *Node) Connections(ctx context.Context, q control.ConnectionQuery, yield func(*control.Connection) error) error {
	app, err := n.app(q.App)
	if err != nil {
		return err
	}
	for i := range n.shards {
		for from := int32(0); from >= 0; {
			rows := make([]connRow, 0, visitConns)
			next := int32(-1)
			err := n.visit(ctx, i, func(s *pusher.Shard, r *loop.Reactor) {
				rows, next = look(s, r, from, app, q.Channel, rows)
			})
			if err != nil {
				return err
			}
			for j := range rows {
				if err := yield(rows[j].connection()); err != nil {
					return err
				}
			}
			from = next
		}
	}
	return nil
}

// look appends the connections that are asked for among the next visitConns of a
// reactor. next is where to go on, or negative at the end.
func look(s *pusher.Shard, r *loop.Reactor, from int32, app *pusher.App, channel string, rows []connRow) (_ []connRow, next int32) {
	end := min(r.Handles(), from+visitConns)
	for conn := from; conn < end; conn++ {
		session, ok := s.Inspect(conn)
		if !ok || app != nil && session.App != app || channel != "" && !s.Subscribed(conn, channel) {
			continue
		}
		if state, ok := r.Inspect(conn); ok {
			rows = append(rows, connRow{session, state, r.Now() - session.OpenedAt})
		}
	}
	if end == r.Handles() {
		return rows, -1
	}
	return rows, end
}

func (row *connRow) connection() *control.Connection {
	c := &control.Connection{
		SocketID:      row.session.ID.String(),
		App:           row.session.App.ID,
		User:          row.session.UserID,
		Transport:     "websocket",
		AgeSeconds:    int64(row.age),
		Subscriptions: row.session.Subscriptions,
		QueuedBytes:   row.state.OutboundBytes,
		UnsentBytes:   row.state.UnsentBytes,
	}
	if row.state.Remote.IsValid() {
		c.Remote = row.state.Remote.String()
		if row.state.Remote.Port() == 0 {
			c.Remote = row.state.Remote.Addr().String()
		}
	}
	if row.state.Virtual {
		c.Transport = "http"
	}
	if !row.state.TCP {
		return c // nobody knows
	}
	idle, rtt := row.state.Idle.Seconds(), row.state.RTT.Seconds()*1e3
	c.IdleSeconds, c.RTT = &idle, &rtt
	return c
}

// app returns the app with an id, or nil when none is asked for.
func (n *Node) app(id string) (*pusher.App, error) {
	if id == "" {
		return nil, nil
	}
	if a := n.protocol.AppByID(id); a != nil {
		return a, nil
	}
	return nil, control.ErrUnknownApp
}
