package bench

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"resound/bench/rest"
)

func TestSoak(t *testing.T) {
	s := testSettings(startStub(t, stubFaults{}))
	quickly(&s)
	s.Duration = time.Second
	r, err := Soak(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range r.Rounds {
		if round.Operations == 0 {
			t.Errorf("got %+v, want operations", round)
		}
	}
	names := make(map[string]bool)
	for _, series := range r.Series {
		names[series.Name] = len(series.Points) > 0
	}
	for _, want := range []string{"memory", "descriptors", "threads", "connections", "deliveries"} {
		if !names[want] {
			t.Errorf("got series %v, want one of %s with points", names, want)
		}
	}
}

func TestGrowth(t *testing.T) {
	tests := []struct {
		name string
		last footprint
		want string // "" means no error
	}{
		{"a server that stays as it is passes", footprint{100 << 20, 1000, 10, 20}, ""},
		{"growth within the bounds passes", footprint{(110 + 15) << 20, 1030, 10, 52}, ""},
		{"memory beyond the bound fails", footprint{(110 + 17) << 20, 1000, 10, 20}, "memory from 102400 to 130048 kB"},
		{"goroutines beyond the bound fail", footprint{100 << 20, 1000, 10, 53}, "goroutines from 20 to 53"},
		{"descriptors beyond the bound fail", footprint{100 << 20, 1033, 10, 20}, "descriptors from 1000 to 1033"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := growth{}
			for i := range 12 {
				f := footprint{100 << 20, 1000, 10, 20}
				if i >= 9 {
					f = tt.last
				}
				g.readings = append(g.readings, f)
			}
			err := g.judge(&Result{})
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrGrowth) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestGoroutinesOf(t *testing.T) {
	tests := []struct {
		name, metrics string
		want          int
		known         bool
	}{
		{"a Go server tells", "# TYPE go_goroutines gauge\ngo_goroutines 42\ngo_threads 9\n", 42, true},
		{"another does not", "up 1\n", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/ws/metrics" {
					_, _ = io.WriteString(w, tt.metrics)
				}
			}))
			defer server.Close()
			read := goroutinesOf(rest.Target{Address: server.Listener.Addr().String(), Prefix: "/ws"})
			if got, known := read(); got != tt.want || known != tt.known {
				t.Errorf("got %d, %v, want %d, %v", got, known, tt.want, tt.known)
			}
		})
	}
}
