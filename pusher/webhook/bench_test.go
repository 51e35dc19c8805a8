package webhook

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkPublish is what a reactor pays for an event.
func BenchmarkPublish(b *testing.B) {
	client := Event{Type: ClientEvent, Channel: "presence-room", UserID: "42", Name: "client-typing", SocketID: "123.456", Data: []byte(`{"x":1,"y":2}`)}
	tests := []struct {
		name  string
		hooks []Hook
		event Event
	}{
		{"app without hooks", nil, client},
		{"type that nobody wants", []Hook{{URL: testURL, EventTypes: []EventType{CacheMiss}}}, client},
		{"channel that nobody wants", []Hook{{URL: testURL, ChannelPrefix: "private-"}}, client},
		{"client event", []Hook{{URL: testURL}}, client},
		{"cache miss told before", []Hook{{URL: testURL}}, Event{Type: CacheMiss, Channel: "cache-x"}},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			d, err := New(Options{transport: instant{}, Logger: slog.New(slog.DiscardHandler)}, []App{testApp("a", tt.hooks...)})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Publish("a", tt.event)
			}
			_ = closeNow(d)
		})
	}
}

type instant struct{}

func (instant) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

// BenchmarkDelivery sends batches to a receiver over loopback that reads them.
func BenchmarkDelivery(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer s.Close()
	d, err := New(Options{MaxQueuedEvents: b.N + 1, MaxQueuedBytes: 1 << 40}, []App{testApp("a", Hook{URL: s.URL})})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N {
		d.Publish("a", Event{Type: MemberAdded, Channel: fmt.Sprint("presence-", i%100), UserID: "42"})
	}
	if err := d.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if got := d.Stats().SentEvents; got != uint64(b.N) {
		b.Fatalf("%d events arrived, want %d", got, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
