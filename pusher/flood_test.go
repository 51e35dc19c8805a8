package pusher

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// subscribeMany has a connection subscribe to channels that nobody else names.
func subscribeMany(c *fakeConn, n int) {
	long := strings.Repeat("x", 190)
	for i := range n {
		c.reactor.shard.OnMessage(c.handle, true, fmt.Appendf(nil, `{"event":"pusher:subscribe","data":{"channel":"%s%d"}}`, long, i))
	}
}

// TestOneClientNamesManyChannels: what a client can make the node remember ends at
// a number, and is forgotten with it.
func TestOneClientNamesManyChannels(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	subscribeMany(c, 10_100)
	refused := 0
	for _, text := range c.got {
		if strings.Contains(text, "pusher:error") {
			if !strings.Contains(text, "4004") || !strings.Contains(text, "subscription limit") {
				t.Fatalf("got %s", text)
			}
			refused++
		}
	}
	if refused != 100 || f.app.Directory().Len() != 10_000 {
		t.Errorf("%d subscriptions are refused and %d channels occupied, want 100 and 10,000", refused, f.app.Directory().Len())
	}
	// A channel it has is no new one.
	subscribeMany(c, 1)
	if last := c.got[len(c.got)-1]; !strings.Contains(last, "subscription_succeeded") {
		t.Errorf("subscribing again at the limit: got %s", last)
	}
	f.reactor.Close(c.handle, 4000, "")
	if n := f.app.Directory().Len(); n != 0 {
		t.Errorf("%d channels are left when the client is gone", n)
	}
}

// BenchmarkBytesOfASubscription is the memory of a subscription to a channel that
// nobody else has, with a long name.
func BenchmarkBytesOfASubscription(b *testing.B) {
	const channels = 10_000
	for range b.N {
		f := NewFake(nil, "1", "k", "s", AppOptions{})
		c := f.Open("k", "")
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		subscribeMany(c, channels)
		c.got = nil
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/channels, "B/subscription")
		runtime.KeepAlive(f)
	}
}
