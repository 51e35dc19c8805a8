package webhook

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// realReceiver serves h on loopback until the test ends.
func realReceiver(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// inbox collects what a real receiver gets.
type inbox struct {
	t      *testing.T
	events chan string
}

func newInbox(t *testing.T) *inbox { return &inbox{t: t, events: make(chan string, 10_000)} }

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got, err := parseRequest(r)
	if err != nil {
		b.t.Error(err)
	}
	for _, words := range got.words() {
		b.events <- words
	}
}

func (b *inbox) want(words ...string) {
	b.t.Helper()
	for _, want := range words {
		select {
		case got := <-b.events:
			if got != want {
				b.t.Errorf("got event %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			b.t.Fatalf("event %q did not come within 10 s", want)
		}
	}
}

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) { // polls
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within 10 s", what)
		}
	}
}

func quick(o Options) Options {
	o.FirstRetry, o.MaxRetryDelay = time.Millisecond, 5*time.Millisecond
	return o
}

func TestRealReceiverGetsASignedRequest(t *testing.T) {
	requests := make(chan request, 1)
	s := realReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
		got, err := parseRequest(r)
		if err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.ContentLength != int64(len(got.body)) {
			t.Errorf("got %s with length %d, want POST with %d", r.Method, r.ContentLength, len(got.body))
		}
		requests <- got
	})
	url := strings.Replace(s.URL, "http://", "http://user:pass@", 1) + "/hook?x=1"
	d := start(t, Options{UserAgent: "resound/test"}, nil, testApp("a", Hook{URL: url, Headers: map[string]string{"x-tenant": "7"}}))
	before := time.Now().UnixMilli()
	d.Publish("a", Event{Type: ClientEvent, Channel: "private-x", Name: "client-ä", SocketID: "1.2", Data: []byte(`"<&>"`)})
	got := <-requests
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Pusher-Key": "a-key", "User-Agent": "resound/test",
		"X-Tenant": "7", "Authorization": "Basic dXNlcjpwYXNz", "Accept-Encoding": "",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	if got.url != "/hook?x=1" {
		t.Errorf("got path %q", got.url)
	}
	if got.timeMS < before || got.timeMS > time.Now().UnixMilli() {
		t.Errorf("time_ms is %d, want %d to now", got.timeMS, before)
	}
	if e := got.events[0]; e["event"] != "client-ä" || e["data"] != "<&>" {
		t.Errorf("got event %v", e)
	}
}

func TestReceiverThatFailsAndComesBack(t *testing.T) {
	b := newInbox(t)
	var calls atomic.Int32
	s := realReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1:
			http.Error(w, strings.Repeat("sorry ", 10_000), http.StatusInternalServerError)
		case 2: // closes the connection without an answer
			panic(http.ErrAbortHandler)
		default:
			b.ServeHTTP(w, r)
		}
	})
	d := start(t, quick(Options{MaxBatchEvents: 1}), nil, testApp("a", Hook{URL: s.URL}))
	d.Publish("a", occupied("1"))
	d.Publish("a", occupied("2"))
	b.want("channel_occupied 1", "channel_occupied 2")
}

func TestReceiverThatIsNotThereYet(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	d := start(t, quick(Options{}), nil, testApp("a", Hook{URL: "http://" + address}))
	d.Publish("a", occupied("x"))
	until(t, "a refused connection", func() bool { return d.Stats().FailedRequests > 0 })

	listener, err = net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port of before is taken: %v", err)
	}
	b := newInbox(t)
	server := &http.Server{Handler: b}
	go server.Serve(listener)
	defer server.Close()
	b.want("channel_occupied x")
}

func TestHangingRealReceiver(t *testing.T) {
	release := make(chan struct{})
	hangs := realReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	b := newInbox(t)
	lives := realReceiver(t, b.ServeHTTP)
	d := start(t, quick(Options{Timeout: 50 * time.Millisecond}), nil, testApp("a", Hook{URL: hangs.URL}, Hook{URL: lives.URL}))
	d.Publish("a", occupied("1"))
	b.want("channel_occupied 1")
	until(t, "the timeout", func() bool { return d.Stats().FailedRequests > 1 })
	d.Publish("a", occupied("2"))
	b.want("channel_occupied 2")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); err == nil {
		t.Error("Close lost events of the hanging receiver and gave no error")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int32
	elsewhere := realReceiver(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := realReceiver(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL, status)
			})
			d := start(t, quick(Options{}), nil, testApp("a", Hook{URL: s.URL}))
			d.Publish("a", occupied("x"))
			until(t, "the failure", func() bool { return d.Stats().FailedRequests > 0 })
			_ = closeNow(d)
			if got := followed.Load(); got != 0 {
				t.Errorf("the redirect was followed %d times", got)
			}
		})
	}
}

// endless writes until the client goes away, and then tells how much it wrote.
func endless(w http.ResponseWriter, pause time.Duration) (written int) {
	chunk := make([]byte, 512)
	for {
		n, err := w.Write(chunk)
		if written += n; err != nil {
			return written
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return written
		}
		time.Sleep(pause) // what a slow receiver does
	}
}

func TestReceiverThatStreamsForeverCostsNothing(t *testing.T) {
	for name, pause := range map[string]time.Duration{"fast": 0, "slowly": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			b := newInbox(t)
			ended := make(chan int, 2)
			s := realReceiver(t, func(w http.ResponseWriter, r *http.Request) {
				b.ServeHTTP(w, r)
				ended <- endless(w, pause)
			})
			d := start(t, Options{MaxBatchEvents: 1}, nil, testApp("a", Hook{URL: s.URL}))
			begin := time.Now()
			d.Publish("a", occupied("1"))
			d.Publish("a", occupied("2"))
			b.want("channel_occupied 1", "channel_occupied 2")
			for range 2 {
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					t.Fatal("the receiver may stream on")
				}
			}
			if took := time.Since(begin); took > 4*maxAnswerTime {
				t.Errorf("two answers took %s, want at most %s", took, 4*maxAnswerTime)
			}
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if s := d.Stats(); s.SentEvents != 2 || s.FailedRequests != 0 {
				t.Errorf("sent %d, failed %d, want 2 and 0: the status was 200", s.SentEvents, s.FailedRequests)
			}
		})
	}
}

func TestEndlessAnswerHeader(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer listener.Close()
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				_, err := c.Write([]byte("HTTP/1.1 200 OK\r\n"))
				for line := []byte("X-A: " + strings.Repeat("a", 1000) + "\r\n"); err == nil; {
					_, err = c.Write(line)
				}
			})
		}
	})
	d := start(t, quick(Options{}), nil, testApp("a", Hook{URL: "http://" + listener.Addr().String()}))
	d.Publish("a", occupied("x"))
	until(t, "the failure", func() bool { return d.Stats().FailedRequests > 0 })
	_ = closeNow(d)
}

// The name is fine, the address behind it is not: what DNS rebinding does.
func TestPrivateAddressBehindANameIsNotDialled(t *testing.T) {
	var called atomic.Int32
	s := realReceiver(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	app := testApp("a", Hook{URL: "http://localhost:" + port})
	d := start(t, quick(Options{DenyPrivateAddresses: true, Logger: log.logger()}), nil, app)
	d.Publish("a", occupied("x"))
	until(t, "the failure", func() bool { return d.Stats().FailedRequests > 0 })
	_ = closeNow(d)
	if got := called.Load(); got != 0 {
		t.Errorf("the receiver was called %d times", got)
	}
	if len(log.lines("is private, and webhooks.deny_private_addresses is set")) != 1 {
		t.Errorf("no log line says why: %q", log.lines(""))
	}

	// Without the option the same receiver is fine.
	d = start(t, Options{}, nil, app)
	d.Publish("a", occupied("x"))
	if err := d.Close(t.Context()); err != nil || called.Load() != 1 {
		t.Errorf("called %d times, %v, want once", called.Load(), err)
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	if c := newClient(&Options{}); c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport may use a proxy")
	}
}

func TestConnectionIsKept(t *testing.T) {
	b := newInbox(t)
	connections := make(map[string]bool)
	s := realReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true // one request at a time
		b.ServeHTTP(w, r)
		fmt.Fprint(w, strings.Repeat("x", 1000))
	})
	d := start(t, Options{MaxBatchEvents: 1}, nil, testApp("a", Hook{URL: s.URL}))
	for i := range 20 {
		d.Publish("a", occupied(fmt.Sprint(i)))
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(connections) != 1 {
		t.Errorf("20 requests used %d connections, want 1", len(connections))
	}
}
