package pusher

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"resound/channels"
)

// subscribeMessage is what a client sends to join a presence channel.
func subscribeMessage(s *Shard, conn int32, channel, channelData string) []byte {
	h := hmac.New(sha256.New, []byte("s"))
	fmt.Fprintf(h, "%s:%s:%s", s.socketID(conn), channel, channelData)
	return fmt.Appendf(nil, `{"event":"pusher:subscribe","data":{"channel":%q,"auth":"k:%x","channel_data":%q}}`, channel, h.Sum(nil), channelData)
}

// TestLargeRosterArrivesWhole: rosters of many members are put together from
// pieces, and by other ways than small ones.
func TestLargeRosterArrivesWhole(t *testing.T) {
	const channel = "presence-crowd"
	for _, members := range []int{1, 100, 3000} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			f := NewFake(t, "1", "k", "s", AppOptions{})
			want := map[string]string{"me": `{"n":"\"é\\"}`}
			for i := range members {
				id := fmt.Sprintf("u\"\\é\u2028%d", i)
				quoted := string(appendString(nil, id))
				m := &channels.Member{ID: id, IDJSON: quoted, Info: `{"id":` + quoted + `}`}
				if _, _, err := f.app.directory.Join(channel, 0, m, 0, nil, time.Time{}); err != nil {
					t.Fatal(err)
				}
				want[id] = m.Info
			}
			c := f.Open("k?protocol=7", "")
			_ = c.Next() // connection_established
			c.Send(string(subscribeMessage(f.reactor.shard, c.handle, channel, `{"user_id":"me","user_info":{"n":"\"é\\"}}`)))
			var event struct{ Event, Data, Channel string }
			if err := json.Unmarshal([]byte(c.Next()), &event); err != nil {
				t.Fatal(err)
			}
			if got, want := event.Event+" "+event.Channel, "pusher_internal:subscription_succeeded "+channel; got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			var data struct {
				Presence struct {
					Count int
					IDs   []string
					Hash  map[string]json.RawMessage
				}
			}
			if err := json.Unmarshal([]byte(event.Data), &data); err != nil {
				t.Fatal(err)
			}
			p := data.Presence
			if p.Count != len(want) || len(p.IDs) != len(want) || len(p.Hash) != len(want) {
				t.Fatalf("got a count of %d, %d ids and %d entries, want %d of each", p.Count, len(p.IDs), len(p.Hash), len(want))
			}
			for _, id := range p.IDs {
				if got, want := string(p.Hash[id]), want[id]; got != want {
					t.Errorf("%q: got %s, want %s", id, got, want)
				}
			}
		})
	}
}
