package rest

import (
	"sync"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	type step struct {
		after time.Duration // since the step before
		n     int
		want  int // seconds to wait
	}
	tests := []struct {
		name  string
		limit int
		steps []step
	}{
		{"no_limit", 0, []step{{0, 1000, 0}, {0, 1000, 0}}},
		{"a_negative_limit_is_none", -1, []step{{0, 1000, 0}, {0, 1000, 0}}},
		{"a_second_of_events_at_once", 3, []step{{0, 1, 0}, {0, 1, 0}, {0, 1, 0}, {0, 1, 1}}},
		{"it_grows_with_time", 2, []step{{0, 2, 0}, {499 * time.Millisecond, 1, 1}, {time.Millisecond, 1, 0}, {0, 1, 1}}},
		{"it_does_not_grow_beyond_a_second", 2, []step{{time.Hour, 2, 0}, {0, 1, 1}}},
		{"more_than_a_second_passes_and_is_paid_back", 2, []step{{0, 6, 0}, {0, 1, 3}, {2 * time.Second, 1, 1}, {500 * time.Millisecond, 1, 0}}},
		{"more_than_a_second_waits_for_a_full_one", 2, []step{{0, 1, 0}, {0, 6, 1}, {500 * time.Millisecond, 6, 0}}},
		{"a_clock_that_goes_back", 1, []step{{0, 1, 0}, {-time.Hour, 1, 1}, {time.Hour + time.Second, 1, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m sync.Map
			now := testNow
			for i, s := range tt.steps {
				now = now.Add(s.after)
				if got := spend(&m, "1", tt.limit, s.n, now); got != s.want {
					t.Errorf("step %d: wait %d s, want %d", i, got, s.want)
				}
			}
		})
	}
}
