package pusher

import (
	"fmt"
	"testing"
)

func TestWatch(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	var seen []string
	stop, ok := f.node.Watch(func(a *App, e Event, fromClient bool) {
		seen = append(seen, fmt.Sprint(a.ID, e.Channel, e.Name, e.Data, fromClient))
	})
	if !ok {
		t.Fatal("nobody watches, and one more is too many")
	}
	f.Trigger("nobody-there", "e", "1", "")
	c.Send(`{"event":"client-x","channel":"news","data":{"a":1}}`)
	c.Send(`{"event":"client-x","channel":"not-subscribed","data":{}}`) // refused
	stop()
	stop()
	f.Trigger("news", "after", "1", "")
	want := []string{`1nobody-there"e""1"false`, `1news"client-x"{"a":1}true`}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", seen, want)
	}
	if f.node.watchers.Load() != nil {
		t.Error("nobody watches, and events are still offered")
	}
}

func TestWatchersAreBounded(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	nothing := func(*App, Event, bool) {}
	for i := range maxWatchers {
		if _, ok := f.node.Watch(nothing); !ok {
			t.Fatalf("watcher %d is refused", i)
		}
	}
	stop, ok := f.node.Watch(nothing)
	if ok {
		t.Errorf("watcher %d is not refused", maxWatchers)
	}
	stop()
	if got := len(*f.node.watchers.Load()); got != maxWatchers {
		t.Errorf("%d watch, want %d", got, maxWatchers)
	}
}
