package node

import (
	"encoding/json"

	"resound/cmd/internal/control"
	"resound/pusher"
)

// Tail implements control.Node.
func (n *Node) Tail(q control.TailQuery) (*control.Feed, error) {
	if _, err := n.app(q.App); err != nil {
		return nil, err
	}
	var stop func()
	feed := control.NewFeed(func() { stop() })
	stop, ok := n.protocol.Watch(func(a *pusher.App, e pusher.Event, fromClient bool) {
		if tailed(&q, a, &e) && !feed.Full() {
			feed.Offer(n.event(a, &e, fromClient))
		}
	})
	if !ok {
		return nil, control.ErrTooMany
	}
	return feed, nil
}

// tailed reports whether q asks for an event.
func tailed(q *control.TailQuery, a *pusher.App, e *pusher.Event) bool {
	return (q.App == "" || q.App == a.ID) &&
		(q.Channel == "" || pusher.Glob(q.Channel, e.Channel)) &&
		(q.Event == "" || pusher.Glob(q.Event, plain(e.Name)))
}

// event copies what the views of e say.
func (n *Node) event(a *pusher.App, e *pusher.Event, fromClient bool) control.Event {
	out := control.Event{
		At:      n.protocol.Now(),
		App:     a.ID,
		Channel: string([]byte(e.Channel)),
		Name:    plain(e.Name),
		Data:    json.RawMessage(e.Data),
		UserID:  json.RawMessage(e.UserID),
		Source:  "api",
	}
	if !e.Except.IsZero() {
		out.SocketID = e.Except.String()
	}
	if fromClient {
		out.Source = "client"
	}
	return out
}

// plain is the text of a JSON string token, owned.
func plain(token string) (text string) {
	if err := json.Unmarshal([]byte(token), &text); err != nil {
		return "" // nothing else is published
	}
	return text
}
