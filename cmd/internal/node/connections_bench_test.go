package node

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"resound/cmd/internal/config"
	"resound/loop"
	"resound/pusher"
)

// BenchmarkVisit is how long a reactor is held up by each visit of
// resound connections.
func BenchmarkVisit(b *testing.B) {
	host, port, workers := "127.0.0.1", 0, 1
	cfg, _, err := config.Load(config.Flags{Host: &host, Port: &port, Workers: &workers}, nil, b.TempDir())
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
	defer func() {
		n.Stop()
		<-ended
	}()
	for range visitConns {
		c, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /app/%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", cfg.Apps[0].Key)
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			b.Fatal(err)
		}
	}
	var held time.Duration
	seen := 0
	for b.Loop() {
		rows := make([]connRow, 0, visitConns)
		err := n.visit(context.Background(), 0, func(s *pusher.Shard, r *loop.Reactor) {
			start := time.Now()
			rows, _ = look(s, r, 0, nil, "", rows)
			held += time.Since(start)
		})
		if err != nil {
			b.Fatal(err)
		}
		seen += len(rows)
	}
	b.ReportMetric(float64(held.Microseconds())/float64(b.N), "us-held/visit")
	b.ReportMetric(float64(seen)/float64(b.N), "conns/visit")
}
