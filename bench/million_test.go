package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"resound/bench/floor"
	"resound/bench/population"
	"resound/bench/process"
)

func TestMillionChannels(t *testing.T) {
	for _, connections := range []int{minMillion, 12_345, 1_000_000} {
		t.Run(fmt.Sprintf("the classes share out %d connections", connections), func(t *testing.T) {
			next := 0
			for _, c := range planChannels(connections) {
				if c.first != next || c.connections < 1 || c.channels < 1 {
					t.Errorf("got %+v, want it to begin at %d and to have connections and channels", c, next)
				}
				next += c.connections
				subscribers := make([]int, c.channels)
				for i := range c.connections {
					subscribers[(c.first+i)%c.channels]++
				}
				for channel, want := range subscribers {
					if got := c.members(channel); got != want {
						t.Fatalf("%+v: got %d members of channel %d, want %d", c, got, channel, want)
					}
				}
			}
			if next != connections {
				t.Errorf("got %d connections in classes, want %d", next, connections)
			}
		})
	}
	got := ""
	for _, c := range planChannels(1_000_000) {
		got += fmt.Sprintf("%d of %d; ", c.channels, c.size())
	}
	if want := "100000 of 1; 20000 of 10; 600 of 1000; 1 of 100000; "; got != want {
		t.Errorf("got channels %q of a million, want %q", got, want)
	}
}

func TestMillionPlan(t *testing.T) {
	tests := []struct {
		name             string
		connections      int
		capacity         int
		servers, clients int
	}{
		{"a limit of 20,000 descriptors takes many processes", 1_000_000, 19_900, 60, 54},
		{"a high limit takes one server process and clients of 25,000", 1_000_000, 2_000_000, 1, 40},
		{"few connections take one server process", 1_000, 19_900, 1, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := planMillion(Settings{Connections: tt.connections}, tt.capacity)
			if p.servers != tt.servers || p.clients != tt.clients || p.workers < 1 {
				t.Errorf("got %d servers %d clients %d workers, want %d, %d and 1 or more", p.servers, p.clients, p.workers, tt.servers, tt.clients)
			}
			if average := p.connections / p.servers; average > tt.capacity*9/10 {
				t.Errorf("got %d connections in each server process, want room below %d", average, tt.capacity)
			}
		})
	}
}

// plenty is a host that lacks nothing.
func plenty() process.Capacity {
	return process.Capacity{
		Files: math.MaxInt64, MemoryBytes: math.MaxInt64, Ports: 28_232, BufferBytes: math.MaxInt64,
		Backlog: 4096, Watches: math.MaxInt64, Tracked: math.MaxInt64,
	}
}

func TestMillionHost(t *testing.T) {
	p := planMillion(Settings{Connections: 1_000_000}, 19_900)
	if err := p.check(plenty()); err != nil {
		t.Errorf("got %v, want a host that lacks nothing to pass", err)
	}
	lacks := map[string]struct {
		take func(*process.Capacity)
		want string
	}{
		"memory":      {func(c *process.Capacity) { c.MemoryBytes = p.memoryBytes() / 2 }, "N=500000"},
		"descriptors": {func(c *process.Capacity) { c.Files = 1_000_000 }, "fs.file-max="},
		"ports":       {func(c *process.Capacity) { c.Ports = 10_000 }, "ip_local_port_range="},
		"buffers":     {func(c *process.Capacity) { c.BufferBytes = 1 << 20 }, "tcp_mem="},
		"backlog":     {func(c *process.Capacity) { c.Backlog = 128 }, "somaxconn="},
		"watches":     {func(c *process.Capacity) { c.Watches = 1_999_999 }, "max_user_watches="},
		"conntrack":   {func(c *process.Capacity) { c.Tracked = 65_536 }, "nf_conntrack_max="},
	}
	poor := plenty()
	for name, lack := range lacks {
		t.Run("too little "+name+" is refused with its fix", func(t *testing.T) {
			c := plenty()
			lack.take(&c)
			if err := p.check(c); err == nil || !strings.Contains(err.Error(), lack.want) || strings.Count(err.Error(), "\n") != 1 {
				t.Errorf("got %v, want one line with %q", err, lack.want)
			}
		})
		lack.take(&poor)
	}
	t.Run("too few descriptors of a process are refused with their fix", func(t *testing.T) {
		p := planMillion(Settings{Connections: 1_000_000}, 900)
		if err := p.check(plenty()); err == nil || !strings.Contains(err.Error(), "ulimit -n 20000") {
			t.Errorf("got %v, want ulimit -n", err)
		}
	})
	t.Run("everything that is missing is named at once", func(t *testing.T) {
		if err := p.check(poor); err == nil || strings.Count(err.Error(), "\n") != len(lacks) {
			t.Errorf("got %v, want %d lines", err, len(lacks))
		}
	})
	t.Run("this host can be read", func(t *testing.T) {
		c, err := process.ReadCapacity()
		if err != nil || c.Files <= 0 || c.MemoryBytes <= 0 || c.Ports <= 0 || c.BufferBytes <= 0 || c.Backlog <= 0 || c.Watches <= 0 || c.Tracked <= 0 {
			t.Errorf("got %+v %v, want all of it above 0", c, err)
		}
	})
}

func TestMillionSchedule(t *testing.T) {
	now := time.Now()
	small := newSchedule(channelClass{connections: 100, channels: 100}, now)
	large := newSchedule(channelClass{connections: 10_000, channels: 1}, now)
	if small.interval != 100*time.Millisecond || large.interval != 2*time.Second {
		t.Errorf("got an event every %v and %v, want 10 a second and 5,000 deliveries a second", small.interval, large.interval)
	}
	all := []schedule{small, large}
	all[0].next = now.Add(time.Millisecond)
	if got := earliest(all); got != 1 {
		t.Errorf("got schedule %d first, want the one that is due", got)
	}
}

func TestMillionDeliveries(t *testing.T) {
	s := testSettings("ws://unused")
	s.Connections, s.deliveryTimeout = 10, 300*time.Millisecond
	_, err := runScenario(t.Context(), "million", s, 1, func(r *run) error {
		server, err := floor.Listen(floor.Options{Threads: 1, Channel: "bench"})
		if err != nil {
			return err
		}
		defer server.Close()
		m := &million{run: r, plan: millionPlan{connections: 10}, report: &Census{}}
		fleet, err := population.NewFleet(r.children, r.self(SubcommandClient), 10, 5)
		if err != nil {
			return err
		}
		m.fleets = append(m.fleets, fleet)
		o := population.Options{Address: fmt.Sprintf("127.0.0.1:%d", server.Port()), Path: "/app/key", Connections: 10, Channel: "bench"}
		if err := fleet.Connect(r.ctx, o); err != nil {
			return err
		}
		expected := []schedule{{expected: 20}}
		server.Publish(floor.Publication{First: 1, Events: 1, Nanos: process.Nanos()})
		if err := m.awaitDeliveries(expected); !errors.Is(err, ErrDeliveries) || m.report.Lost != 10 {
			t.Errorf("got %v and %d lost after one of two events, want %v and 10", err, m.report.Lost, ErrDeliveries)
		}
		server.Publish(floor.Publication{First: 2, Events: 1, Nanos: process.Nanos()})
		if err := errors.Join(m.awaitDeliveries(expected), m.readEnd(expected)); err != nil {
			t.Errorf("got %v after both events, want no error", err)
		}
		server.Publish(floor.Publication{First: 2, Events: 2, Nanos: process.Nanos()})
		if err := m.awaitDeliveries([]schedule{{expected: 30}}); err != nil {
			return err
		}
		if err := m.readEnd(expected); !errors.Is(err, ErrDeliveries) || m.report.Duplicated != 10 {
			t.Errorf("got %v and %d duplicated after one twice and one more, want %v and 10", err, m.report.Duplicated, ErrDeliveries)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMillionRefuses(t *testing.T) {
	for name, s := range map[string]Settings{
		"a target":        testSettings("ws://127.0.0.1:1"),
		"ten connections": {Spawn: "x", Connections: 10},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if r, err := Million(t.Context(), s); err == nil || r.Scenario != "" {
				t.Errorf("got %q %v, want an error before anything is started", r.Scenario, err)
			}
		})
	}
}

func TestGrownCaches(t *testing.T) {
	got := grownCaches(map[string]int64{"TCP": 1000, "dentry": 500}, map[string]int64{"TCP": 11_000, "dentry": 500, "filp": 20_000, "x": 100}, 10)
	if want := "[{filp 2000} {TCP 1000}]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	var table strings.Builder
	(&Census{Servers: 60, Caches: got}).write(&table)
	(*Census)(nil).write(io.Discard)
	for _, want := range []string{"60 server processes", "filp 2000 TCP 1000"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got %q, want %q in it", table.String(), want)
		}
	}
}
