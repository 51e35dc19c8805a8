package shield

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestGrantedIsBounded(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	nth := func(i int) (k key) {
		copy(k[:], fmt.Sprint(i))
		return k
	}
	tests := []struct {
		name          string
		grants, bytes int // limits
		size          int // of each grant
		apart         time.Duration
		added         int
		oldest        int // that is still kept
		evicted       uint64
	}{
		{"by_number", 10, 1 << 20, 1, 0, 25, 15, 15},
		{"by_bytes", 100, 50, 10, 0, 25, 20, 20},
		{"within_both", 25, 250, 10, 0, 25, 0, 0},
		{"expired_ones_make_room", 10, 1 << 20, 1, 30 * time.Second, 25, 23, 0},
		{"a_grant_larger_than_all_room", 10, 5, 6, 0, 3, 3, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGranted()
			g.limits.grants, g.limits.bytes = tt.grants, tt.bytes
			now, evicted := start, uint64(0)
			for i := range tt.added {
				now = now.Add(tt.apart)
				evicted += g.keep(nth(i), Grant{ChannelData: strings.Repeat("x", tt.size)}, now, now.Add(time.Minute))
			}
			if evicted != tt.evicted {
				t.Errorf("%d displaced, want %d", evicted, tt.evicted)
			}
			for i := range tt.added {
				if _, ok := g.lookup(nth(i), now); ok != (i >= tt.oldest) {
					t.Errorf("grant %d of %d is kept: %t", i, tt.added, ok)
				}
			}
			if left := tt.added - tt.oldest; len(g.byKey) != left || g.byAge.Len() != left || g.bytes != left*tt.size {
				t.Errorf("%d, %d grants with %d bytes, want %d with %d", len(g.byKey), g.byAge.Len(), g.bytes, left, left*tt.size)
			}
		})
	}
	t.Run("a_newer_grant_replaces_the_older", func(t *testing.T) {
		g := newGranted()
		g.keep(nth(1), Grant{ChannelData: "old"}, start, start.Add(time.Minute))
		g.keep(nth(1), Grant{ChannelData: "newer"}, start, start.Add(time.Hour))
		if got, ok := g.lookup(nth(1), start.Add(time.Minute)); !ok || got.ChannelData != "newer" || g.bytes != len("newer") || g.byAge.Len() != 1 {
			t.Errorf("%+v, %t, %d bytes in %d grants", got, ok, g.bytes, g.byAge.Len())
		}
	})
}
