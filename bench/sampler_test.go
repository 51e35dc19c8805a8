package bench

import (
	"testing"
	"time"
)

func TestSampler(t *testing.T) {
	s := newSampler(time.Hour) // sampled by hand
	n := 0.0
	s.add("server", "n", "", func() (float64, bool) { n++; return n, true })
	s.add("server", "nothing", "", func() (float64, bool) { return 0, false })
	for range maxPoints + 10 {
		s.sample()
	}
	series := s.close()
	if len(series) != 1 {
		t.Fatalf("got %d series, want the one that has points", len(series))
	}
	if series[0].Max != n {
		t.Errorf("the largest value is %v, want %v", series[0].Max, n)
	}
	points := series[0].Points
	if len(points) != maxPoints/2+10 || points[1].Value != 3 || points[len(points)-1].Value != n {
		t.Errorf("got %d points, the second %v and the last %v, want every second of the first %d", len(points), points[1].Value, points[len(points)-1].Value, maxPoints)
	}
}
