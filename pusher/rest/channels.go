package rest

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"resound/channels"
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
	// A cached event is told of one channel only.
	want := parseAttributes(r.query.Get("info")) &^ cache
	list := r.app.Directory().Channels(r.query.Get("filter_by_prefix"))
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
	r.out = r.appendChannel(r.out, occupied|parseAttributes(r.query.Get("info")), r.args[1])
	return nil
}

// listUsers tells the members of a presence channel in the order they joined.
// Ids keep the JSON type they were signed with.
//
// Pusher: GET /apps/{app_id}/channels/{channel_name}/users.
// Reverb: 404 for a vacant channel, 400 for one that is not a presence channel,
// both with an empty object.
func (r *request) listUsers() error {
	if err := r.spendRead(); err != nil {
		return err
	}
	members, ok := r.app.Directory().Members(r.args[1])
	if !ok {
		return &refusal{status: fasthttp.StatusNotFound, json: "{}"}
	}
	if !channels.KindOf(r.args[1]).Is(channels.Presence) {
		return &refusal{status: fasthttp.StatusBadRequest, json: "{}"}
	}
	r.out = append(r.out, `{"users":[`...)
	for i, m := range members {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = append(r.out, `{"id":`...)
		r.out = append(r.out, m.IDJSON...)
		r.out = append(r.out, '}')
	}
	r.out = append(r.out, "]}"...)
	return nil
}
