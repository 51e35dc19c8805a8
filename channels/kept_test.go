package channels_test

import (
	"fmt"
	"testing"
	"time"

	"resound/channels"
)

// TestCacheIsBounded: whoever may trigger names as many cache channels as it likes.
func TestCacheIsBounded(t *testing.T) {
	const limit = 100_000
	d := channels.NewDirectory(nil)
	d.LimitCache(limit)
	now := time.Unix(1_700_000_000, 0)
	emitted := 0
	publish := func(name, data string) {
		event := &channels.CachedEvent{Frame: []byte("frame of " + data), Name: `"e"`, Data: data}
		d.Publish(name, event, now.Add(time.Minute), func(channels.Interest, uint64, bool) { emitted++ })
	}
	cached := func(name string) string {
		if e := d.Channel(name, now).Cached; e != nil {
			return e.Data
		}
		return ""
	}
	const names = 10_000
	for i := range names {
		publish(fmt.Sprint("cache-", i), `"1"`)
	}
	kept := d.Expire(now)
	if d.CachedBytes() > limit || kept == 0 || kept > limit/100 {
		t.Errorf("%d events of %d bytes are kept, want some, at most %d bytes", kept, d.CachedBytes(), limit)
	}
	if emitted != names || d.CacheDropped() != uint64(names-kept) {
		t.Errorf("%d of %d are delivered, %d counted as not kept, want all but the %d that are", emitted, names, d.CacheDropped(), kept)
	}
	for range 100 {
		publish("cache-0", `"2"`) // takes the place of its last one
	}
	if got := cached("cache-0"); got != `"2"` {
		t.Errorf("a channel that has room keeps %s, want its last event", got)
	}
	// What is too large is not kept, and what was before is not the last any more.
	large := `"` + string(make([]byte, limit)) + `"`
	publish("cache-0", large)
	if got := cached("cache-0"); got != "" {
		t.Errorf("%.10s is kept, want nothing rather than an old event", got)
	}
	now = now.Add(time.Hour)
	if left := d.Expire(now); left != 0 || d.CachedBytes() != 0 {
		t.Errorf("%d events of %d bytes are left after their time", left, d.CachedBytes())
	}
}

// TestEventsOfOtherNodesAreKept: their nodes bound them. Here they need none of the room for
// what this node publishes, and go when there is too much and nobody subscribes any more.
func TestEventsOfOtherNodesAreKept(t *testing.T) {
	d, _ := connected()
	until := epoch.Add(time.Minute)
	large := &channels.CachedEvent{Frame: make([]byte, 5000)}
	d.LimitCache(2000)
	has := func(name string) bool { return d.Channel(name, epoch).Cached != nil }
	publish := func(name string, bytes int) (kept bool) {
		event := &channels.CachedEvent{Frame: make([]byte, bytes)}
		d.Publish(name, event, until, func(_ channels.Interest, _ uint64, k bool) { kept = k })
		return kept
	}
	for i := range 3 {
		name := fmt.Sprint("cache-", i)
		d.Subscribe(name, 0, epoch)
		d.Watched(name, &channels.State{Seq: 1, Kept: large, Expires: until})
		if !has(name) {
			t.Errorf("the event of %s is not kept", name)
		}
	}
	if !publish("cache-own", 100) {
		t.Error("there is no room for an event of this node")
	}
	if publish("cache-1", 5000) || has("cache-1") {
		t.Error("an event of this node is kept beyond the limit, or that before it")
	}
	d.Unsubscribe("cache-2", 0, true)
	if !has("cache-0") || has("cache-2") || !has("cache-own") {
		t.Errorf("kept: %v, %v, %v; want all but that of the vacant channel", has("cache-0"), has("cache-2"), has("cache-own"))
	}
	d.Keep("cache-0", 2, large, time.Time{}, false, func(channels.Interest, uint64, uint64) {})
	if has("cache-0") {
		t.Error("an event is kept though a later one of another node was not")
	}
	d.Expire(until)
	if got := d.CachedBytes(); got != 0 {
		t.Errorf("%d bytes are left", got)
	}
}

// TestEventsOfANodeThatIsAloneAgain: it bounds what it inherited from the cluster like its own.
func TestEventsOfANodeThatIsAloneAgain(t *testing.T) {
	d, _ := connected()
	d.LimitCache(10_000)
	until := epoch.Add(time.Minute)
	event := func(bytes int) *channels.CachedEvent { return &channels.CachedEvent{Frame: make([]byte, bytes)} }
	d.Subscribe("cache-theirs", 0, epoch)
	d.Watched("cache-theirs", &channels.State{Seq: 1, Kept: event(8000), Expires: until})
	d.Disconnect(channels.NoEdges{})
	d.Publish("cache-ours", event(8000), until, func(_ channels.Interest, _ uint64, kept bool) {
		if kept {
			t.Error("an event is kept beyond the limit")
		}
	})
	d.Unsubscribe("cache-theirs", 0, true)
	if d.Channel("cache-theirs", epoch).Cached == nil {
		t.Error("a node alone forgot the last event of a vacant channel")
	}
}

// TestOtherNodesEventsMakeRoomWhenSwept: those of channels without a subscriber.
func TestOtherNodesEventsMakeRoomWhenSwept(t *testing.T) {
	d, _ := connected()
	const limit = 10_000
	d.LimitCache(limit)
	until := epoch.Add(time.Minute)
	event := &channels.CachedEvent{Frame: make([]byte, 1000)}
	for i := range 8 {
		theirs := fmt.Sprint("cache-theirs-", i)
		d.Subscribe(theirs, 0, epoch)
		d.Watched(theirs, &channels.State{Seq: 1, Kept: event, Expires: until})
		d.Unsubscribe(theirs, 0, true)
	}
	for i := range 8 {
		d.Publish(fmt.Sprint("cache-ours-", i), event, until, func(channels.Interest, uint64, bool) {})
	}
	before := d.CachedBytes()
	d.Expire(epoch)
	if before <= limit || d.CachedBytes() > limit {
		t.Errorf("%d bytes are kept, and %d after a sweep; want more than %d and less", before, d.CachedBytes(), limit)
	}
}
