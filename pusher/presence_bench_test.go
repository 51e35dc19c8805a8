//go:build !race

package pusher

import (
	"fmt"
	"testing"
	"time"

	"resound/channels"
)

// BenchmarkJoin is a member that joins a presence channel and leaves it again,
// among many that stay: what the joiner is told grows with them, nothing else.
func BenchmarkJoin(b *testing.B) {
	const channel = "presence-crowd"
	for _, members := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			n, s, r := subscribed(b, 1, "news")
			app := n.AppByID("1")
			for i := range members {
				m := &channels.Member{ID: fmt.Sprint("user-", i), IDJSON: fmt.Sprintf("%q", fmt.Sprint("user-", i)), Info: `{"name":"Ann Example","avatar":"https://example.com/a/1.png"}`}
				if _, _, err := app.directory.Join(channel, 0, m, 0, nil, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			join := subscribeMessage(s, 0, channel, `{"user_id":"me","user_info":{"name":"Me"}}`)
			leave := fmt.Appendf(nil, `{"event":"pusher:unsubscribe","data":{"channel":%q}}`, channel)
			b.ReportAllocs()
			for b.Loop() {
				s.OnMessage(0, true, join)
				s.OnMessage(0, true, leave)
				r.mail = r.mail[:0]
			}
		})
	}
}
