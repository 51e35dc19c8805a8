package shield

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// discardLog takes what a server says of connections that its test breaks.
var discardLog = log.New(io.Discard, "", 0)

const appKey = "reverb-key"

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// application is a real HTTP server that counts what it is asked.
type application struct {
	*httptest.Server
	asked atomic.Int64
}

func newApplication(t *testing.T, answer http.HandlerFunc) *application {
	t.Helper()
	a := new(application)
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		// A server notices that its client left once it has read the body.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	a.Config.ErrorLog = discardLog
	a.Start()
	t.Cleanup(a.Close)
	return a
}

// answers writes one answer to everything.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// grants answers as an application that lets everybody in under the name that
// the Cookie header has.
func grants(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.PostFormValue("channel_name"), "presence-") {
		fmt.Fprintf(w, `{"auth":%q,"channel_data":%q}`, appKey+":x", fmt.Sprintf(`{"user_id":%q}`, r.Header.Get("Cookie")))
		return
	}
	fmt.Fprintf(w, `{"auth":%q}`, appKey+":x")
}

func newShield(t *testing.T, upstream string, change func(*Options)) *Shield {
	t.Helper()
	o := Options{Upstream: upstream, Key: appKey, Timeout: patience, Counters: new(Counters)}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Shield) stats() Stats { return s.options.Counters.Stats() }

// until waits for a condition that other goroutines make true.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s did not come true within %v", what, patience)
		}
	}
}

func question(channel, cookie string) *Question {
	return &Question{SocketID: "1.2", Channel: channel, Credentials: Credentials{cookie}}
}
