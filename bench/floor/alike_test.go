package floor

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

// TestBareServers holds all implementations to the same conversation.
func TestBareServers(t *testing.T) {
	for _, implementation := range implementations {
		t.Run(implementation.name, func(t *testing.T) {
			t.Parallel()
			command := implementation.command(t, Options{})
			with := func(o Options) process.Command {
				c := command
				c.Args = o.Args()
				return c
			}
			for _, tt := range behaviours {
				t.Run(tt.name, func(t *testing.T) { tt.test(t, with) })
			}
		})
	}
}

// starter returns the command that runs the server with some options.
type starter func(Options) process.Command

var behaviours = []struct {
	name string
	test func(*testing.T, starter)
}{
	{"subscribers get the events of their channels", testChannels},
	{"publications of the control pipe reach the channel they name", testPipe},
	{"requests and frames may come in pieces or several at once", testPieces},
	{"a trigger without subscribers is answered", testUnheard},
	{"nothing is lost or torn when the socket is full", testFullSocket},
	{"a connection that never reads is dropped alone", testNeverReads},
	{"waiting events of several triggers keep their order", testOrder},
	{"many connections on many channels", testManyConnections},
	{"garbage ends its connection only", testGarbage},
	{"random bytes do no harm", testRandomBytes},
}

func testChannels(t *testing.T, with starter) {
	b := start(t, with(Options{Threads: 2}))
	first, second := b.subscriber(t, "a"), b.subscriber(t, "a")
	third, both := b.subscriber(t, "b"), b.subscriber(t, "a", "b", "a")
	b.trigger(t, "a", 100, 1)
	for _, conn := range []net.Conn{first, second, both} {
		expect(t, conn, eventFrame("a", 1, 100))
	}
	_ = first.Close()
	b.trigger(t, "a", 70_000, 2, 3)
	b.trigger(t, "b", 30, 4)
	for _, conn := range []net.Conn{second, both} {
		expect(t, conn, append(eventFrame("a", 2, 70_000), eventFrame("a", 3, 70_000)...))
	}
	for _, conn := range []net.Conn{third, both} {
		expect(t, conn, eventFrame("b", 4, 30))
	}
	_ = both.Close()
	fourth := b.subscriber(t, "b")
	b.trigger(t, "b", 100, 5)
	for _, conn := range []net.Conn{third, fourth} {
		expect(t, conn, eventFrame("b", 5, 100))
	}
	got, err := b.Stop()
	if err != nil || got.Dropped+got.Refused != 0 {
		t.Errorf("got counts %+v %v, want nothing dropped or refused", got, err)
	}
	expectClosed(t, second)
}

func testPipe(t *testing.T, with starter) {
	b := start(t, with(Options{Channel: "bench", PayloadBytes: 120}))
	first, other := b.subscriber(t, "bench"), b.subscriber(t, "other")
	for _, p := range []Publication{
		{First: 1, Events: 2, Nanos: 7},
		{First: 3, Events: 2, Nanos: 7, Packed: true},
		{First: 5, Events: 1, Nanos: 7, Channel: "other"},
		{First: 6, Events: 1, Nanos: 7, Channel: "nobody"},
	} {
		if err := b.Publish(p); err != nil {
			t.Fatal(err)
		}
	}
	for sequence := range uint32(4) {
		expect(t, first, eventFrame("bench", sequence+1, 120))
	}
	expect(t, other, eventFrame("other", 5, 120))
	b.stop(t, Counts{})
}

func testPieces(t *testing.T, with starter) {
	b := start(t, with(Options{}))
	slow := b.dial(t)
	request := wire.AppendUpgrade(nil, "h", "/app/key", "AQIDBAUGBwgJCgsMDQ4PEA==")
	for i := range request {
		write(t, slow, request[i:i+1])
	}
	if _, err := io.CopyN(io.Discard, slow, int64(len("HTTP/1.1 101"))); err != nil {
		t.Fatal(err)
	}
	rest := wire.AppendFrame([]byte(" Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		wire.Accept("AQIDBAUGBwgJCgsMDQ4PEA==")+"\r\n\r\n"), wire.OpText, wire.AppendEstablished(nil, "1.1"))
	expect(t, slow, rest)
	pong := wire.AppendMasked(nil, wire.OpText, wire.Pong, 9)
	frames := append(append(pong, subscribeFrame("a")...), subscribeFrame(strings.Repeat("b", 150))...)
	for i := range frames {
		write(t, slow, frames[i:i+1])
	}
	expect(t, slow, wire.AppendFrame(nil, wire.OpText, wire.AppendSubscribed(nil, "a")))
	expect(t, slow, wire.AppendFrame(nil, wire.OpText, wire.AppendSubscribed(nil, strings.Repeat("b", 150))))

	caller := b.dial(t)
	posts := post("a", eventData(1, 100)) + post("a", eventData(2, 60_000)) + post("nobody", eventData(3, 100))
	for len(posts) > 0 {
		n := min(len(posts), 7_001)
		write(t, caller, []byte(posts[:n]))
		posts = posts[n:]
	}
	for range 3 {
		expect(t, caller, []byte(accepted))
	}
	expect(t, slow, append(eventFrame("a", 1, 100), eventFrame("a", 2, 60_000)...))
	b.stop(t, Counts{})
}

const accepted = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

func post(channel string, data []byte) string {
	body := wire.AppendTriggerBody(nil, channel, data)
	return fmt.Sprintf("POST /apps/1/events?x=y HTTP/1.1\r\nHost: h\r\ncontent-length:  %d \r\n\r\n%s", len(body), body)
}

func testUnheard(t *testing.T, with starter) {
	b := start(t, with(Options{Threads: 2}))
	load, err := rest.NewLoad(rest.Target{Address: b.Address, Host: b.Address, App: wire.App{ID: "1", Key: "k", Secret: "s"}}, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer load.Close()
	load.Sign(100, time.Now())
	result, err := load.Run(50*time.Millisecond, patience)
	if err != nil || result.Requests < 8 || result.Failed > 0 {
		t.Errorf("got %+v %v, want 8 requests or more answered 200", result, err)
	}
	b.stop(t, Counts{})
}

// testFullSocket publishes more than sockets hold to a client that reads later.
func testFullSocket(t *testing.T, with starter) {
	const size, events = 60_000, 200
	for _, o := range []Options{{Threads: 1}, {Threads: 2, Packed: true}} {
		b := start(t, with(o))
		conn := b.subscriber(t, "a")
		for sequence := range uint32(events) {
			b.trigger(t, "a", size, sequence+1)
		}
		for sequence := range uint32(events) {
			expect(t, conn, eventFrame("a", sequence+1, size))
		}
		counts, err := b.Stop()
		if err != nil || counts.ShortWrites == 0 || counts.Dropped != 0 {
			t.Errorf("got counts %+v %v, want short writes and nothing dropped", counts, err)
		}
	}
}

func testNeverReads(t *testing.T, with starter) {
	const size, events = 60_000, 500
	b := start(t, with(Options{Threads: 1}))
	idle, reader := b.subscriber(t, "a"), b.subscriber(t, "a")
	for sequence := range uint32(events) {
		b.trigger(t, "a", size, sequence+1)
		expect(t, reader, eventFrame("a", sequence+1, size))
	}
	if n, err := io.Copy(io.Discard, idle); n >= events*size {
		t.Errorf("got %d bytes %v, want the connection dropped before", n, err)
	}
	counts, err := b.Stop()
	if err != nil || counts.Dropped != 1 {
		t.Errorf("got counts %+v %v, want one connection dropped", counts, err)
	}
}

// testOrder has several publishers, each with a channel of its own, pour events in
// faster than they go out; every subscriber has all the channels.
func testOrder(t *testing.T, with starter) {
	const publishers, events, subscribers = 4, 150, 10
	for _, packed := range []bool{false, true} {
		b := start(t, with(Options{Threads: 2, Packed: packed}))
		var channels []string
		for i := range publishers {
			channels = append(channels, "c"+strconv.Itoa(i))
		}
		var conns []net.Conn
		for range subscribers {
			conns = append(conns, b.subscriber(t, channels...))
		}
		var publishing sync.WaitGroup
		for _, channel := range channels {
			caller := b.dial(t)
			publishing.Go(func() {
				for sequence := range uint32(events) {
					if _, err := io.WriteString(caller, post(channel, eventData(sequence+1, 100))); err != nil {
						t.Error(err)
					}
				}
				answers := make([]byte, events*len(accepted))
				if _, err := io.ReadFull(caller, answers); err != nil || string(answers) != strings.Repeat(accepted, events) {
					t.Errorf("got %v and %.100q, want every trigger accepted", err, answers)
				}
			})
		}
		for _, conn := range conns {
			expectInOrder(t, conn, channels, events)
		}
		publishing.Wait()
		b.stop(t, Counts{})
	}
}

// expectInOrder reads so many events of each channel, each channel's in order.
func expectInOrder(t *testing.T, conn net.Conn, channels []string, events uint32) {
	t.Helper()
	last := make(map[string]uint32)
	size := len(eventFrame(channels[0], 1, 100))
	b := make([]byte, size)
	for range int(events) * len(channels) {
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		_, channel, _ := strings.Cut(string(b), `"channel":"`)
		channel = strings.TrimSuffix(channel, `"}`)
		last[channel]++
		if want := eventFrame(channel, last[channel], 100); string(b) != string(want) {
			t.Fatalf("got %q, want %q", b, want)
		}
	}
	for _, channel := range channels {
		if last[channel] != events {
			t.Errorf("got %d events on %s, want %d", last[channel], channel, events)
		}
	}
}

func testManyConnections(t *testing.T, with starter) {
	const connections, channels = 600, 60
	b := start(t, with(Options{Threads: 2, Packed: true}))
	var conns []net.Conn
	for i := range connections {
		conns = append(conns, b.subscriber(t, "c"+strconv.Itoa(i%channels)))
	}
	// Every third leaves, from the middle of the lists, and others take its place.
	for i := 0; i < connections; i += 3 {
		_ = conns[i].Close()
		conns[i] = b.subscriber(t, "c"+strconv.Itoa(i%channels))
	}
	for i := range channels {
		b.trigger(t, "c"+strconv.Itoa(i), 100, 1, 2)
	}
	for i, conn := range conns {
		channel := "c" + strconv.Itoa(i%channels)
		expect(t, conn, append(eventFrame(channel, 1, 100), eventFrame(channel, 2, 100)...))
	}
	b.stop(t, Counts{})
}

func testGarbage(t *testing.T, with starter) {
	b := start(t, with(Options{}))
	witness := b.subscriber(t, "a")
	requests := map[string]string{
		"no request":            "\x00\xff\x00\xff\r\n\r\n",
		"an empty head":         "\r\n\r\n",
		"no key":                "GET / HTTP/1.1\r\n\r\n",
		"an empty key":          "GET / HTTP/1.1\r\nSec-WebSocket-Key:\r\n\r\n",
		"no length":             "POST / HTTP/1.1\r\n\r\n",
		"a length of no number": "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"a length too long":     "POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n",
		"a length that wraps":   "POST / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n",
		"another method":        "PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"an endless head":       "GET /" + strings.Repeat("x", 20_000),
	}
	for name, request := range requests {
		t.Run(name+" is closed", func(t *testing.T) {
			conn := b.dial(t)
			write(t, conn, []byte(request))
			expectClosed(t, conn)
		})
	}
	bodies := []string{"", "{}", `{"name":"n"}`, `{"name":"n","channel":"c"}`, `{"name":"n","channel":"c","data":"x`, `{"name":"n","channel":"c","data":"x\"`, `{"name":"\`}
	for _, body := range bodies {
		t.Run(fmt.Sprintf("body %q is refused", body), func(t *testing.T) {
			conn := b.dial(t)
			write(t, conn, fmt.Appendf(nil, "POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			expect(t, conn, []byte("HTTP/1.1 400 Refused\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"))
		})
	}
	frames := map[string]string{
		"a frame without mask":           string(wire.AppendFrame(nil, wire.OpText, []byte("x"))),
		"a close frame":                  string(wire.AppendMasked(nil, wire.OpClose, nil, 1)),
		"a frame too long":               "\x81\xff\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00",
		"a frame of the longest length":  "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		"a channel with a name too long": string(subscribeFrame(strings.Repeat("x", 201))),
	}
	for name, frame := range frames {
		t.Run(name+" is closed", func(t *testing.T) {
			conn := b.subscriber(t, "a")
			write(t, conn, []byte(frame))
			expectClosed(t, conn)
		})
	}
	b.trigger(t, "a", 100, 1)
	expect(t, witness, eventFrame("a", 1, 100))
	b.stop(t, Counts{})
}

// testRandomBytes sends noise, and messages with bytes changed, in every stage.
func testRandomBytes(t *testing.T, with starter) {
	b := start(t, with(Options{Threads: 2}))
	witness := b.subscriber(t, "a")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	valid := [][]byte{
		wire.AppendUpgrade(nil, "h", "/app/key", "AQIDBAUGBwgJCgsMDQ4PEA=="),
		[]byte(post("noise", eventData(1, 100))), subscribeFrame("noise"),
	}
	for range 300 {
		conn := b.dial(t)
		if random.IntN(2) == 0 {
			upgrade(t, conn, "AQIDBAUGBwgJCgsMDQ4PEA==")
		}
		for range 1 + random.IntN(4) {
			text := append([]byte(nil), valid[random.IntN(len(valid))]...)
			for range random.IntN(6) {
				text[random.IntN(len(text))] = byte(random.Uint32())
			}
			_, _ = conn.Write(text[:random.IntN(len(text)+1)]) // it may be closed by now
		}
		_ = conn.Close()
	}
	b.trigger(t, "a", 100, 1)
	expect(t, witness, eventFrame("a", 1, 100))
	if _, err := b.Stop(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}
