package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestFanout(t *testing.T) {
	t.Run("measures server and floor with 50 subscribers in several processes", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		s.Floor, s.Burst, s.PerProcess, s.Threads = true, 8, 30, 2
		r, err := Fanout(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(r.Rounds), 2*2*2; got != want {
			t.Fatalf("got %d rounds, want %d", got, want)
		}
		for _, round := range r.Rounds {
			if round.Operations != 16*50 || round.PerSecond <= 0 || round.CPUMicros == nil || round.Latency.Max <= 0 {
				t.Errorf("got round %+v, want 800 deliveries with rate, CPU and latency", round)
			}
		}
		var names []string
		for _, ratio := range r.Ratios {
			names = append(names, ratio.Name)
		}
		want := "rate, single, server / floor; CPU, single, server / floor; p99, single, server / floor; " +
			"rate, burst of 8, server / floor; CPU, burst of 8, server / floor; p99, burst of 8, server / floor; " +
			"rate, burst of 8 / single, server; rate, burst of 8 / single, floor"
		if got := strings.Join(names, "; "); got != want {
			t.Errorf("got ratios %q, want %q", got, want)
		}
		for _, v := range r.Verdicts {
			if strings.Contains(v, "frames differ") {
				t.Errorf("got verdict %q, want frames of equal size", v)
			}
		}
	})
	wrong := []struct {
		name    string
		deliver func([][]byte) [][]byte
		want    string
	}{
		{"a repeated event fails the run", func(e [][]byte) [][]byte { return append(e, e[0]) }, "duplicated"},
		{"reordered events fail the run", func(e [][]byte) [][]byte {
			e[0], e[len(e)-1] = e[len(e)-1], e[0]
			return e
		}, "reordered"},
	}
	for _, tt := range wrong {
		t.Run(tt.name, func(t *testing.T) {
			s := testSettings(startStub(t, stubFaults{deliver: tt.deliver}))
			s.Burst, s.Connections = 8, 5
			if _, err := Fanout(t.Context(), s); !errors.Is(err, ErrDeliveries) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v with %q", err, ErrDeliveries, tt.want)
			}
		})
	}
	t.Run("a lost event fails the run with the number that arrived", func(t *testing.T) {
		triggers := 0
		s := testSettings(startStub(t, stubFaults{deliver: func(e [][]byte) [][]byte {
			if triggers++; triggers == 6 {
				return nil
			}
			return e
		}}))
		s.Connections, s.deliveryTimeout = 5, 200*time.Millisecond
		_, err := Fanout(t.Context(), s)
		if !errors.Is(err, ErrDeliveries) || !strings.Contains(err.Error(), "25 of 30 received") {
			t.Errorf("got %v, want %v with 25 of 30", err, ErrDeliveries)
		}
	})
	t.Run("a refused trigger is an error", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{status: "401 Unauthorized"}))
		if _, err := Fanout(t.Context(), s); err == nil || !strings.Contains(err.Error(), "status 401") {
			t.Errorf("got %v, want status 401", err)
		}
	})
	t.Run("a run that is cancelled returns", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := testSettings(startStub(t, stubFaults{deliver: func(e [][]byte) [][]byte {
			cancel(errors.New("enough"))
			return nil
		}}))
		if _, err := Fanout(ctx, s); err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("got %v, want the cause of the cancellation", err)
		}
	})
}

// steps counts what a Stepper is told.
type steps struct{ done, total, lines int }

func (s *steps) Write(b []byte) (int, error) { s.lines++; return len(b), nil }
func (s *steps) Step(done, total int)        { s.done, s.total = done, total }

func TestProgress(t *testing.T) {
	var told steps
	s := testSettings(startStub(t, stubFaults{}))
	s.Floor, s.Burst, s.Progress = true, 8, &told
	if _, err := Fanout(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if told.done != 8 || told.total != 8 || told.lines < 8 {
		t.Errorf("got %+v, want 8 of 8 rounds, with a line each", told)
	}
}

func TestConnect(t *testing.T) {
	s := testSettings(startStub(t, stubFaults{}))
	s.Floor, s.InFlight = true, 8
	r, err := Connect(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(r.Rounds); got != 4 {
		t.Fatalf("got %d rounds, want 4", got)
	}
	for _, round := range r.Rounds {
		if round.Operations != 50 || round.PerSecond <= 0 {
			t.Errorf("got round %+v, want 50 connections with a rate", round)
		}
	}
}

func TestIdle(t *testing.T) {
	t.Run("reads the memory of server and floor", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		s.Floor, s.settleWindow = true, 80*time.Millisecond
		r, err := Idle(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Memory) != 2 {
			t.Fatalf("got %d readings, want server and floor", len(r.Memory))
		}
		for _, m := range r.Memory {
			if m.EmptyBytes <= 0 || m.LoadedBytes <= 0 || m.Connections != 50 {
				t.Errorf("got %+v, want memory of 50 connections", m)
			}
		}
	})
	t.Run("without the server's pid it is refused", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		s.PIDs = nil
		if _, err := Idle(t.Context(), s); err == nil || !strings.Contains(err.Error(), "pid") {
			t.Errorf("got %v, want an error about the pid", err)
		}
	})
}

func TestTrigger(t *testing.T) {
	t.Run("measures server, floor, and the bare server that checks nothing", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		s.Floor, s.Connections = true, 4
		r, err := Trigger(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(r.Rounds); got != 6 {
			t.Fatalf("got %d rounds, want 6", got)
		}
		for _, subject := range []string{SubjectFloor, SubjectUnchecked} {
			name := ratioName("CPU", "trigger", subject)
			if !slices.ContainsFunc(r.Ratios, func(ratio Ratio) bool { return ratio.Name == name }) {
				t.Errorf("got ratios %+v, want %q among them", r.Ratios, name)
			}
		}
		for _, round := range r.Rounds {
			if round.Operations < 4 || round.Failed != 0 {
				t.Errorf("got round %+v, want 4 requests or more, none failed", round)
			}
		}
	})
	t.Run("refused requests fail the run", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{status: "429 Too Many Requests"}))
		s.Connections = 4
		r, err := Trigger(t.Context(), s)
		if !errors.Is(err, ErrRefused) || len(r.Rounds) != 2 || r.Rounds[0].Failed != r.Rounds[0].Operations {
			t.Errorf("got %v and %+v, want %v with every request failed", err, r.Rounds, ErrRefused)
		}
	})
}

func TestSpawn(t *testing.T) {
	t.Run("a spawned server is measured and gone afterwards", func(t *testing.T) {
		s := testSettings("")
		s.App, s.PIDs, s.Spawn = testSettings("").App, nil, os.Args[0]
		var spawnedPID int
		_, err := runScenario(t.Context(), "fanout", s, 5, func(r *run) error {
			server, err := r.server()
			if err != nil {
				return err
			}
			spawnedPID = server.pids[0]
			if err := r.newFleet(server); err != nil {
				return err
			}
			if err := r.connect(server, 0); err != nil {
				return err
			}
			return r.deliver(server, 2)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("/proc/" + strconv.Itoa(spawnedPID)); !os.IsNotExist(err) {
			t.Errorf("got %v for the spawned process after the run, want it gone", err)
		}
	})
	t.Run("a binary that ends at once is an error with what it wrote", func(t *testing.T) {
		script := filepath.Join(t.TempDir(), "broken")
		if err := os.WriteFile(script, []byte("#!/bin/sh\necho no such option >&2\nexit 2\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		s := testSettings("")
		s.Spawn = script
		if _, err := Fanout(t.Context(), s); err == nil || !strings.Contains(err.Error(), "no such option") {
			t.Errorf("got %v, want an error with the output", err)
		}
	})
}

func TestSettings(t *testing.T) {
	bad := map[string]func(*Settings){
		"no server":             func(s *Settings) { s.Target = "" },
		"two servers":           func(s *Settings) { s.Spawn = "x" },
		"a payload of 29 bytes": func(s *Settings) { s.PayloadBytes = 29 },
		"a burst of 11":         func(s *Settings) { s.Burst = 11 },
		"a burst of 1":          func(s *Settings) { s.Burst = 1 },
		"negative rounds":       func(s *Settings) { s.Rounds = -1 },
		"a floor in Basic":      func(s *Settings) { s.FloorKind = "basic" },
		"another scheme":        func(s *Settings) { s.Target = "http://127.0.0.1:1" },
		"a target with a query": func(s *Settings) { s.Target = "ws://127.0.0.1:1/?x" },
	}
	for name, change := range bad {
		t.Run(name+" is refused", func(t *testing.T) {
			s := testSettings("ws://127.0.0.1:1")
			change(&s)
			if _, err := Fanout(t.Context(), s); err == nil {
				t.Error("got no error, want one")
			}
		})
	}
	t.Run("all errors are reported at once", func(t *testing.T) {
		_, err := Settings{Rounds: -1, Threads: -1}.withDefaults(1)
		for _, want := range []string{"rounds", "threads", "target"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to name %s", err, want)
			}
		}
	})
	t.Run("a prefix is part of both addresses", func(t *testing.T) {
		target, err := parseTarget("ws://127.0.0.1/ws/", testSettings("").App)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := target.Address+target.Prefix, "127.0.0.1:80/ws"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := socketPath(target), "/ws/app/key?protocol=7"; !strings.HasPrefix(got, want) {
			t.Errorf("got path %q, want it to start with %q", got, want)
		}
	})
}

func value(v float64) *float64 { return &v }

func TestSummary(t *testing.T) {
	round := func(subject string, perSecond, cpu float64) Round {
		return Round{Subject: subject, Mode: "m", PerSecond: perSecond, CPUMicros: &cpu, ServerCores: value(1)}
	}
	r := Result{Rounds: []Round{
		round("server", 90, 11), round("floor", 100, 10),
		round("server", 40, 12), round("floor", 50, 10),
		round("server", 300, 9), round("floor", 200, 10),
	}}
	r.summarize()
	if got := r.Medians; len(got) != 2 || got[0].PerSecond != 90 || *got[0].CPUMicros != 11 || got[1].PerSecond != 100 {
		t.Errorf("got medians %+v, want server 90 at 11 us, floor 100", got)
	}
	if got := r.Ratios; len(got) != 2 || got[0].Median != 0.9 || got[1].Median != 1.1 {
		t.Errorf("got ratios %+v, want 0.9 of the rate and 1.1 of the CPU", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("got median %v of an even number, want 2.5", got)
	}
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name     string
		median   Median
		want     string // "" means no verdict
		settings Settings
		cores    int // 0 means 2
	}{
		{name: "a busy client beside an idle server is generator-bound", median: Median{ServerCores: value(0.3), BusiestCore: 0.95, ClientCores: 0.95}, want: "generator-bound"},
		{name: "a busy client beside an unknown server may be", median: Median{BusiestCore: 0.95, ClientCores: 0.95}, want: "maybe generator-bound"},
		{name: "a full host is shared", median: Median{ServerCores: value(1.1), BusiestCore: 0.85, ClientCores: 0.85}, want: "host saturated"},
		{name: "a host with other work is not quiet", median: Median{ServerCores: value(0.5), OtherCores: 0.2}, want: "other processes"},
		{name: "a server that is the bottleneck needs no word", median: Median{ServerCores: value(1), BusiestCore: 0.5, ClientCores: 0.5}, want: ""},
		{
			name:   "a busy client beside many threads that are half idle is generator-bound",
			median: Median{Subject: SubjectServer, ServerCores: value(3), BusiestCore: 0.98, ClientCores: 0.98}, want: "generator-bound",
			settings: Settings{Spawn: "resound", Threads: 8}, cores: 8,
		},
		{
			name:   "so is the floor",
			median: Median{Subject: SubjectFloor, ServerCores: value(0.7), BusiestCore: 0.96, ClientCores: 0.96}, want: "generator-bound",
			settings: Settings{Target: "ws://a", Threads: 2},
		},
		{
			name:     "a foreign server may have one thread",
			median:   Median{Subject: SubjectServer, ServerCores: value(0.9), BusiestCore: 0.98, ClientCores: 0.98},
			settings: Settings{Target: "ws://a", Threads: 8}, cores: 8,
		},
		{
			name:   "more threads than cores are no more than the cores",
			median: Median{Subject: SubjectServer, ServerCores: value(1.2), BusiestCore: 0.95, ClientCores: 0.95}, want: "host saturated",
			settings: Settings{Spawn: "resound", Threads: 60},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Result{Medians: []Median{tt.median}, Settings: tt.settings}
			r.Machine.Cores = cmp.Or(tt.cores, 2)
			r.judge()
			if got := strings.Join(r.Verdicts, "\n"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	r := Result{
		Scenario: "fanout",
		Rounds:   []Round{{Subject: "server", Mode: "single", PerSecond: 1234, Latency: &Latency{P50: 1500}}},
		Memory:   []Memory{{Subject: "server", BytesPerConnection: 567, Settled: true}},
	}
	r.summarize()
	var table, raw bytes.Buffer
	if err := errors.Join(r.WriteTable(&table), r.WriteJSON(&raw)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server single", "1,234", "1.5ms", "567"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got table without %q:\n%s", want, table.String())
		}
	}
	var back Result
	if err := json.Unmarshal(raw.Bytes(), &back); err != nil || len(back.Rounds) != 1 || back.Rounds[0].PerSecond != 1234 {
		t.Errorf("got %+v %v back from JSON, want the same rounds", back.Rounds, err)
	}
	if strings.Contains(raw.String(), "secret") {
		t.Error("got a secret in the JSON, want none")
	}
}
