package rest

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"resound/pusher"
)

func newBenchServer(tb testing.TB, change func(*Options)) *Server {
	tb.Helper()
	node, err := pusher.NewNode(pusher.Options{
		Apps: []pusher.AppConfig{{ID: appID, Key: appKey, Secret: appSecret}},
		Now:  func() time.Time { return testNow },
	})
	if err != nil {
		tb.Fatal(err)
	}
	o := Options{Node: node, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

const benchBody = `{"name":"App\\Events\\OrderShipped","channel":"orders","data":"{\"id\":12345,\"text\":\"a message of about a hundred bytes, as events are\",\"at\":1700000000}"}`

func BenchmarkTriggerHandler(b *testing.B) {
	s := newBenchServer(b, nil)
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetHost("x")
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetRequestURI(eventsPath + "?" + sign("POST", eventsPath, nil, benchBody))
	ctx.Request.SetBodyString(benchBody)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		s.Handle(&ctx)
	}
	if ctx.Response.StatusCode() != 200 {
		b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

// BenchmarkTrigger and BenchmarkTriggerFloor send the same signed requests over
// 64 keep-alive loopback connections; the floor's server computes the same MD5
// and HMAC and does nothing else.
func BenchmarkTrigger(b *testing.B) {
	s := newBenchServer(b, nil)
	benchmarkTCP(b, func(ln net.Listener) { _ = s.Serve(ln) })
}

func BenchmarkTriggerFloor(b *testing.B) {
	s := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) {
		sum := md5.Sum(ctx.PostBody())
		mac := hmac.New(sha256.New, []byte(appSecret))
		mac.Write([]byte("POST\n" + eventsPath + "\nauth_key=" + appKey + "&auth_timestamp=1700000000&auth_version=1.0&body_md5="))
		mac.Write([]byte(hex.EncodeToString(sum[:])))
		if len(mac.Sum(nil)) == sha256.Size {
			ctx.SetContentType(contentJSON)
			ctx.SetBodyString("{}")
		}
	}}
	benchmarkTCP(b, func(ln net.Listener) { _ = s.Serve(ln) })
}

func benchmarkTCP(b *testing.B, serve func(net.Listener)) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { serve(ln); close(ended) }()
	b.Cleanup(func() { ln.Close(); <-ended })
	request := fmt.Appendf(nil, "POST %s?%s HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: application/json\r\nX-Pusher-Library: pusher-http-php 7.2.0\r\nContent-Length: %d\r\n\r\n%s",
		eventsPath, sign("POST", eventsPath, nil, benchBody), len(benchBody), benchBody)

	const connections = 64
	var left atomic.Int64
	left.Store(int64(b.N))
	failed := make(chan error, connections)
	b.ResetTimer()
	for range connections {
		go func() { failed <- drive(ln.Addr().String(), request, &left) }()
	}
	for range connections {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
}

func drive(addr string, request []byte, left *atomic.Int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var resp fasthttp.Response
	for left.Add(-1) >= 0 {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := resp.Read(in); err != nil {
			return err
		}
		if resp.StatusCode() != 200 {
			return fmt.Errorf("status %d: %s", resp.StatusCode(), resp.Body())
		}
	}
	return nil
}
