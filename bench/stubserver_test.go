package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"resound/bench/wire"
)

// stubFaults are what a stub does wrong.
type stubFaults struct {
	status  string                                      // of triggers; "" means 200 OK
	deliver func(events [][]byte) [][]byte              // of a trigger; nil means as they are
	tell    func(e wire.MemberEvent) []wire.MemberEvent // members; nil means as it is
	refuse  func(upgrade int) bool                      // the n-th connection; nil means none
	hook    string                                      // "drop" or "repeat" webhooks, "drop" events of the tail; "" sends them
}

// hookVariable carries stubFaults.hook to a spawned stub.
const hookVariable = "BENCH_TEST_HOOK"

// stub is a small Pusher server that checks nothing, and can be told to be wrong.
type stub struct {
	stubFaults
	listener net.Listener
	webhook  string // URL for client events on hooked channels
	serving  sync.WaitGroup

	mu       sync.Mutex
	tail     *stubConn // the last that follows the events; nil: nobody did
	channels map[string][]*stubConn
	users    map[string][]uint32 // by channel, one for each connection
	all      []net.Conn
	upgrades int
}

type stubConn struct {
	net.Conn
	users map[string]uint32 // by channel; 0 for channels without members
}

func newStub(faults stubFaults, listener net.Listener, webhook string) *stub {
	return &stub{stubFaults: faults, listener: listener, webhook: webhook, channels: make(map[string][]*stubConn), users: make(map[string][]uint32)}
}

// startStub runs a stub until the test ends and returns its URL.
func startStub(t *testing.T, faults stubFaults) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newStub(faults, listener, "")
	s.serving.Go(s.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, conn := range s.all {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.serving.Wait()
	})
	return "ws://" + listener.Addr().String()
}

func (s *stub) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.all = append(s.all, conn)
		s.mu.Unlock()
		s.serving.Go(func() {
			c := &stubConn{Conn: conn, users: make(map[string]uint32)}
			s.serveConn(c)
			s.mu.Lock()
			for channel := range c.users {
				s.leave(c, channel)
			}
			s.mu.Unlock()
			_ = conn.Close()
		})
	}
}

func (s *stub) serveConn(c *stubConn) {
	buffer := make([]byte, 64<<10)
	for kept := 0; ; {
		n, err := c.Read(buffer[kept:])
		if err != nil {
			return
		}
		b := buffer[:kept+n]
		switch {
		case bytes.HasPrefix(b, []byte("GET /apps/")):
			s.answerUsers(c, string(b))
			b = nil
		case bytes.HasPrefix(b, []byte("GET /reverb/")):
			s.streamTo(c, bytes.HasPrefix(b, []byte("GET /reverb/tail")))
			b = nil
		case bytes.HasPrefix(b, []byte("GET /metrics")):
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nup 1\n")
			b = nil
		case bytes.HasPrefix(b, []byte("GET ")):
			if !s.upgrade(c, b) {
				return
			}
			b = nil
		case bytes.HasPrefix(b, []byte("POST ")):
			status := s.status
			if status == "" {
				status = "200 OK"
				s.broadcast(b[wire.HeadBytes(b):])
			}
			_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 2\r\n\r\n{}")
			b = nil
		}
		for {
			payload, rest, ok := wire.Unmask(b)
			if !ok {
				break
			}
			s.onMessage(c, string(payload))
			b = rest
		}
		kept = copy(buffer, b)
	}
}

func (s *stub) upgrade(c *stubConn, b []byte) bool {
	s.mu.Lock()
	s.upgrades++
	refused := s.refuse != nil && s.refuse(s.upgrades)
	s.mu.Unlock()
	if refused {
		_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		return false
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " +
		wire.Accept(string(wire.HeaderValue(b, "Sec-WebSocket-Key"))) + "\r\n\r\n"
	_, err := c.Write(wire.AppendFrame([]byte(answer), wire.OpText, wire.AppendEstablished(nil, "1.1")))
	return err == nil
}

func (s *stub) onMessage(c *stubConn, payload string) {
	_, rest, _ := strings.Cut(payload, `"channel":"`)
	channel, _, _ := strings.Cut(rest, `"`)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.Contains(payload, `"pusher:subscribe"`):
		user, _, _ := wire.ReadUserID([]byte(payload))
		s.join(c, channel, user)
	case strings.Contains(payload, `"pusher:unsubscribe"`):
		s.leave(c, channel)
	case strings.Contains(payload, `"client-`) && strings.HasPrefix(channel, hookedPrefix) && s.webhook != "":
		s.sendWebhook(channel)
	}
}

// sendWebhook tells the receiver of a client event.
func (s *stub) sendWebhook(channel string) {
	body := fmt.Sprintf(`{"time_ms":1,"events":[{"name":"client_event","channel":%q}]}`, channel)
	times := map[string]int{"": 1, "drop": 0, "repeat": 2}[s.hook]
	for range times {
		if response, err := http.Post(s.webhook, "application/json", strings.NewReader(body)); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}
}

func (s *stub) join(c *stubConn, channel string, user uint32) {
	known := user == 0 || slices.Contains(s.users[channel], user)
	s.channels[channel] = append(s.channels[channel], c)
	c.users[channel] = user
	if user > 0 {
		s.users[channel] = append(s.users[channel], user)
	}
	count := len(slices.Compact(slices.Sorted(slices.Values(s.users[channel]))))
	_, _ = c.Write(wire.AppendFrame(nil, wire.OpText, fmt.Appendf(nil,
		`{"event":"pusher_internal:subscription_succeeded","data":"{\"presence\":{\"count\":%d}}","channel":%q}`, count, channel)))
	if !known {
		s.tellMembers(c, channel, wire.MemberEvent{User: user, Added: true})
	}
}

func (s *stub) leave(c *stubConn, channel string) {
	user := c.users[channel]
	delete(c.users, channel)
	if i := slices.Index(s.channels[channel], c); i >= 0 {
		s.channels[channel] = slices.Delete(s.channels[channel], i, i+1)
	}
	if i := slices.Index(s.users[channel], user); i >= 0 {
		s.users[channel] = slices.Delete(s.users[channel], i, i+1)
	}
	if user > 0 && !slices.Contains(s.users[channel], user) {
		s.tellMembers(c, channel, wire.MemberEvent{User: user})
	}
}

// tellMembers tells all on a channel but one.
func (s *stub) tellMembers(but *stubConn, channel string, e wire.MemberEvent) {
	told := []wire.MemberEvent{e}
	if s.tell != nil {
		told = s.tell(e)
	}
	for _, e := range told {
		frame := wire.AppendFrame(nil, wire.OpText, wire.AppendMemberEvent(nil, channel, e))
		for _, c := range s.channels[channel] {
			if c != but {
				_, _ = c.Write(frame)
			}
		}
	}
}

// streamTo begins a stream of the dashboard: of figures, which come once, or of events.
func (s *stub) streamTo(c *stubConn, tail bool) {
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:\n\n")
	if !tail {
		_, _ = io.WriteString(c, "data: {}\n\n")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = c
}

// answerUsers answers the roster of the channel in the path.
func (s *stub) answerUsers(c *stubConn, request string) {
	_, rest, _ := strings.Cut(request, "/channels/")
	channel, _, _ := strings.Cut(rest, "/users")
	s.mu.Lock()
	body := []byte(`{"users":[`)
	for _, user := range slices.Compact(slices.Sorted(slices.Values(s.users[channel]))) {
		body = append(append(append(body, `{"id":"`...), wire.AppendUserID(nil, user)...), `"},`...)
	}
	s.mu.Unlock()
	body = append(bytes.TrimSuffix(body, []byte(",")), `]}`...)
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// broadcast sends the events of a trigger's body to the subscribers of its channel.
func (s *stub) broadcast(body []byte) {
	_, channel, _ := strings.Cut(string(body), `"channel":"`)
	channel, _, _ = strings.Cut(channel, `"`)
	var events [][]byte
	for _, rest := range strings.Split(string(body), `"data":"`)[1:] {
		data, _, _ := strings.Cut(rest, `"`)
		events = append(events, wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, channel, []byte(data))))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deliver != nil {
		events = s.deliver(events)
	}
	if s.tail != nil && s.hook != "drop" {
		_, _ = io.WriteString(s.tail, strings.Repeat("data: {\"event\":\"e\"}\n\n", len(events)))
	}
	for _, conn := range s.channels[channel] {
		_, _ = conn.Write(bytes.Join(events, nil))
	}
}
