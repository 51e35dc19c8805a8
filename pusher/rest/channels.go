package rest

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"resound/channels"
	"resound/pusher"
)

// listChannels tells which channels are occupied, in the order of their names.
// O(channels of the app).
//
// Pusher: GET /apps/{app_id}/channels.
// Departs: Reverb answers {"channels":[]} when there are none, which the PHP
// library of Pusher cannot read.
func (r *request) listChannels() error {
	if err := r.spendRead(); err != nil {
		return err
	}
	want, prefix := parseAttributes(r.query.Get("info")), r.query.Get("filter_by_prefix")
	if err := r.checkListAttributes(want, prefix); err != nil {
		return err
	}
	want &^= cache // A cached event is told of one channel only.
	list, err := r.server.options.Node.Channels(r.app, prefix)
	switch {
	case errors.Is(err, pusher.ErrTooManyChannels):
		return badRequest("Bad request: %v are occupied. Ask for some of them with filter_by_prefix.", err)
	case err != nil:
		return &refusal{
			status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
			text: "Service unavailable: " + err.Error() + ". Try again, or ask for some of them with filter_by_prefix.",
		}
	}
	slices.SortFunc(list, func(a, b channels.NamedOccupancy) int { return strings.Compare(a.Name, b.Name) })
	r.out = append(r.out, `{"channels":{`...)
	for i := range list {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = gjson.AppendJSONString(r.out, list[i].Name)
		r.out = append(r.out, ':')
		r.out = appendOccupancy(r.out, want, list[i].Name, list[i].Occupancy)
	}
	r.out = append(r.out, "}}"...)
	return nil
}

// showChannel tells of one channel, occupied or not.
//
// Pusher: GET /apps/{app_id}/channels/{channel_name}.
// Reverb: "occupied" is always told.
func (r *request) showChannel() error {
	if err := r.spendRead(); err != nil {
		return err
	}
	want, channel := occupied|parseAttributes(r.query.Get("info")), r.args[1]
	if err := r.checkAttributes(want, channel); err != nil {
		return err
	}
	if want&cache != 0 && r.app.Options().StrictInfo {
		want |= emptyCache
	}
	r.out = appendOccupancy(r.out, want, channel, r.server.options.Node.Channel(r.app, channel))
	return nil
}

// showStats tells all counts of one channel, 0 where there is none.
//
// Pusher: GET /apps/{app_id}/channels/{channel_name}/stats, deprecated.
func (r *request) showStats() error {
	if err := r.spendRead(); err != nil {
		return err
	}
	o := r.server.options.Node.Channel(r.app, r.args[1])
	r.out = append(r.out, `{"occupied":`...)
	r.out = strconv.AppendBool(r.out, o.Occupied())
	r.out = append(r.out, `,"user_count":`...)
	r.out = strconv.AppendInt(r.out, int64(o.Users), 10)
	r.out = append(r.out, `,"connection_count":`...)
	r.out = strconv.AppendInt(r.out, int64(o.Subscriptions), 10)
	r.out = append(r.out, '}')
	return nil
}

// listUsers tells the members of a presence channel in the order they joined.
// Ids keep the JSON type they were signed with. with_user_info=1 adds what was
// signed along with them, null for nothing.
//
// Pusher: GET /apps/{app_id}/channels/{channel_name}/users; with_user_info is of
// soketi.
// Reverb: 404 for a vacant channel, 400 for one that is not a presence channel,
// both with an empty object.
func (r *request) listUsers() error {
	if err := r.spendRead(); err != nil {
		return err
	}
	members, ok := r.server.options.Node.Members(r.app, r.args[1])
	if !ok {
		return &refusal{status: fasthttp.StatusNotFound, json: "{}"}
	}
	if !channels.KindOf(r.args[1]).Is(channels.Presence) {
		return &refusal{status: fasthttp.StatusBadRequest, json: "{}"}
	}
	withInfo := r.query.Get("with_user_info") == "1"
	r.out = append(r.out, `{"users":[`...)
	for i, m := range members {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = append(r.out, `{"id":`...)
		r.out = append(r.out, m.IDJSON...)
		if withInfo {
			r.out = append(r.out, `,"user_info":`...)
			r.out = append(r.out, m.Info...)
		}
		r.out = append(r.out, '}')
	}
	r.out = append(r.out, "]}"...)
	return nil
}
