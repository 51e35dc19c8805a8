package node

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/loop"
	"resound/pusher"
)

const (
	// benchConns is how many connections the node under test has.
	benchConns = 15_000

	// dialVariable makes the test binary the other end of them: an address and a key.
	dialVariable = "NODE_BENCH_DIAL"
)

func init() {
	if to, key, ok := strings.Cut(os.Getenv(dialVariable), " "); ok {
		if err := dialAll(to, key); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// dialAll opens the connections, says so, and holds them until standard input ends.
func dialAll(to, key string) error {
	conns := make([]net.Conn, benchConns)
	for i := range conns {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i/10_000))}}
		c, err := d.Dial("tcp4", to)
		if err != nil {
			return err
		}
		conns[i] = c
		fmt.Fprintf(c, "GET /app/%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", key)
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			return err
		}
	}
	fmt.Println("connected")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// crowded runs a node with benchConns connections until the benchmark ends.
func crowded(b *testing.B) *Node {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < benchConns+1000 {
		b.Skipf("a process may have %d descriptors, %v; this needs %d", limit.Max, err, benchConns+1000)
	}
	host, port := "127.0.0.1", 0
	cfg, _, err := config.Load(config.Flags{Host: &host, Port: &port}, nil, b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	n, err := New(Options{Config: cfg})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(context.Background()) }()
	<-n.Ready()
	clients := exec.Command(os.Args[0])
	clients.Env = append(os.Environ(), dialVariable+"="+n.Addr().String()+" "+cfg.Apps[0].Key)
	clients.Stderr = os.Stderr
	hold, err := clients.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	said, err := clients.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = hold.Close()
		_ = clients.Wait()
		n.Stop()
		<-ended
	})
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		b.Fatalf("the clients said %q, %v", line, err)
	}
	return n
}

// cpuOf is the time a thread or the process has run.
func cpuOf(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkLook is what it costs to look at a node with 15,000 connections.
func BenchmarkLook(b *testing.B) {
	n := crowded(b)
	// How long an event loop is held up by each visit of resound connections: by the
	// clock, in which the loop may have waited for a core, and on its thread, which it
	// is locked to.
	b.Run("visit", func(b *testing.B) {
		var clock, thread, most time.Duration
		visits, seen := 0, 0
		for b.Loop() {
			for i := range n.shards {
				for from := int32(0); from >= 0; {
					rows := make([]connRow, 0, visitConns)
					next := int32(-1)
					err := n.visit(context.Background(), i, func(s *pusher.Shard, r *loop.Reactor) {
						start, ran := time.Now(), cpuOf(unix.CLOCK_THREAD_CPUTIME_ID)
						rows, next = look(s, r, from, nil, "", rows)
						held := cpuOf(unix.CLOCK_THREAD_CPUTIME_ID) - ran
						clock += time.Since(start)
						thread += held
						most = max(most, held)
					})
					if err != nil {
						b.Fatal(err)
					}
					visits++
					seen += len(rows)
					from = next
				}
			}
		}
		b.ReportMetric(float64(clock.Microseconds())/float64(visits), "us-clock/visit")
		b.ReportMetric(float64(thread.Microseconds())/float64(visits), "us-cpu/visit")
		b.ReportMetric(float64(most.Microseconds()), "us-cpu-longest-visit")
		b.ReportMetric(float64(seen)/float64(b.N), "conns/op")
	})
	// All connections as resound connections --json gets them.
	b.Run("connections", func(b *testing.B) {
		lines := json.NewEncoder(io.Discard)
		cpu := cpuOf(unix.CLOCK_PROCESS_CPUTIME_ID)
		for b.Loop() {
			seen := 0
			err := n.Connections(context.Background(), control.ConnectionQuery{}, func(c *control.Connection) error {
				seen++
				return lines.Encode(c)
			})
			if err != nil || seen != benchConns {
				b.Fatalf("%d connections, %v", seen, err)
			}
		}
		b.ReportMetric(float64((cpuOf(unix.CLOCK_PROCESS_CPUTIME_ID)-cpu).Microseconds())/float64(b.N), "us-cpu/op")
	})
	// GET /metrics without its request: the snapshot and the text.
	b.Run("metrics", func(b *testing.B) {
		cpu := cpuOf(unix.CLOCK_PROCESS_CPUTIME_ID)
		for b.Loop() {
			if err := n.WriteMetrics(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpuOf(unix.CLOCK_PROCESS_CPUTIME_ID)-cpu).Microseconds())/float64(b.N), "us-cpu/op")
	})
}
