package bench

import (
	"strings"
	"testing"
)

func TestMemoryIsHeldAgainstItsBound(t *testing.T) {
	series := func(subject string, mib float64) []Series {
		return []Series{{Subject: SubjectFloor, Name: "memory", Max: 1 << 40}, {Subject: subject, Name: "memory", Max: mib * (1 << 20)}}
	}
	for _, tt := range []struct {
		name   string
		limit  int
		series []Series
		want   string
	}{
		{"no bound", 0, series(SubjectServer, 1000), ""},
		{"within", 100, series(SubjectServer, 100.5), ""},
		{"beyond", 100, series(SubjectServer, 101), "took 101 MiB of memory, want 100 at most"},
		{"never read", 100, series(SubjectFloor, 1), "never read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Result{Settings: Settings{MaxMemoryMiB: tt.limit}, Series: tt.series}
			err := r.checkMemory()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
