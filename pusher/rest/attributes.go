package rest

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"resound/channels"
)

// attributes is the set of what a query wants to know of a channel.
type attributes uint8

const (
	occupied attributes = 1 << iota
	userCount
	subscriptionCount
	cache
	emptyCache // tell also that a cache channel holds no event
)

// parseAttributes reads the value of "info". What is unknown is left out.
func parseAttributes(info string) (want attributes) {
	for name := range strings.SplitSeq(info, ",") {
		switch strings.TrimSpace(name) {
		case "occupied":
			want |= occupied
		case "user_count":
			want |= userCount
		case "subscription_count":
			want |= subscriptionCount
		case "cache":
			want |= cache
		}
	}
	return want
}

// checkAttributes refuses attributes that a channel does not have, if the app
// wants that. Triggers leave them out whatever the app wants: one info is for
// channels of all kinds there, and refusing would lose the event.
//
// Pusher: 400 for an attribute that does not apply.
// Departs: Reverb leaves them out, and so does an app without StrictInfo.
func (r *request) checkAttributes(want attributes, channel string) error {
	if !r.app.Options().StrictInfo {
		return nil
	}
	kind := channels.KindOf(channel)
	switch {
	case want&userCount != 0 && !kind.Is(channels.Presence):
		return badRequest("Bad request. Only presence channels have a user_count.")
	case want&subscriptionCount != 0 && kind.Is(channels.Presence):
		return badRequest("Bad request. Presence channels have no subscription_count; ask for user_count.")
	case want&cache != 0 && !kind.Is(channels.Cache):
		return badRequest("Bad request. Only cache channels have a cache.")
	}
	return nil
}

// checkListAttributes is checkAttributes for all channels with a prefix.
//
// Pusher: user_count needs filter_by_prefix=presence-.
func (r *request) checkListAttributes(want attributes, prefix string) error {
	if !r.app.Options().StrictInfo {
		return nil
	}
	presence := strings.HasPrefix(prefix, "presence-")
	switch {
	case want&userCount != 0 && !presence:
		return badRequest("Bad request. user_count needs filter_by_prefix=presence- or a longer one.")
	case want&subscriptionCount != 0 && presence:
		return badRequest("Bad request. Presence channels have no subscription_count; ask for user_count.")
	case want&cache != 0:
		return badRequest("Bad request. A cache is told of one channel only.")
	}
	return nil
}

// lookAtChannels leaves what r.channels are at this moment in r.occupancies.
func (r *request) lookAtChannels() {
	r.occupancies = r.server.options.Node.AppendChannels(r.occupancies[:0], r.app, r.channels)
}

// appendOccupancy appends the attributes of a channel as a JSON object.
//
// Reverb: what does not apply is left out, where Pusher answers 400; see
// pusher.AppOptions.StrictInfo. A vacant channel has no counts, a cache channel
// without an event no cache.
func appendOccupancy(dst []byte, want attributes, channel string, o channels.Occupancy) []byte {
	kind := channels.KindOf(channel)
	start := len(dst)
	if want&occupied != 0 {
		dst = append(dst, `,"occupied":`...)
		dst = strconv.AppendBool(dst, o.Occupied())
	}
	if want&userCount != 0 && o.Occupied() && kind.Is(channels.Presence) {
		dst = append(dst, `,"user_count":`...)
		dst = strconv.AppendInt(dst, int64(o.Users), 10)
	}
	if want&subscriptionCount != 0 && o.Occupied() && !kind.Is(channels.Presence) {
		dst = append(dst, `,"subscription_count":`...)
		dst = strconv.AppendInt(dst, int64(o.Subscriptions), 10)
	}
	if want&cache != 0 && o.Cached != nil {
		dst = append(dst, `,"cache":`...)
		dst = appendCached(dst, channel, o)
	} else if want&emptyCache != 0 {
		dst = append(dst, `,"cache":null`...)
	}
	if len(dst) == start {
		return append(dst, "{}"...)
	}
	dst[start] = '{' // in place of the first comma
	return append(dst, '}')
}

// appendCached appends the last event of a cache channel. ttl is in seconds,
// rounded up.
//
// Pusher: {"data":..,"ttl":..}.
// Reverb: {"event":..,"data":..,"channel":..}.
func appendCached(dst []byte, channel string, o channels.Occupancy) []byte {
	dst = append(dst, `{"event":`...)
	dst = append(dst, o.Cached.Name...)
	dst = append(dst, `,"data":`...)
	dst = append(dst, o.Cached.Data...)
	dst = append(dst, `,"channel":`...)
	dst = gjson.AppendJSONString(dst, channel)
	dst = append(dst, `,"ttl":`...)
	dst = strconv.AppendInt(dst, int64((o.CachedFor+time.Second-1)/time.Second), 10)
	return append(dst, '}')
}
