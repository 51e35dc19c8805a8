package shield

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestQuestionsAreAskedAsEchoAsks(t *testing.T) {
	credentials := Credentials{`laravel_session=a%3D; XSRF-TOKEN="b"; c`, "Bearer b", "c=", "d", "https://e.test:8443"}
	tests := []struct {
		name, upstream, channel string
		path, query, body       string
	}{
		{"a_channel", "/broadcasting/auth", "private-a", "/broadcasting/auth", "", "socket_id=1.2&channel_name=private-a"},
		{"a_user", "/broadcasting/auth", "", "/broadcasting/user-auth", "", "socket_id=1.2"},
		{"a_channel_that_needs_escapes", "/auth", "presence-a&socket_id=3.4=é ;", "/auth", "", "socket_id=1.2&channel_name=presence-a%26socket_id%3D3.4%3D%C3%A9+%3B"},
		{"a_query_stays", "/api/auth?x=1&y=%20", "", "/api/user-auth", "x=1&y=%20", "socket_id=1.2"},
		{"an_escaped_path_stays", "/a%2Fb/auth", "", "/a%2Fb/user-auth", "", "socket_id=1.2"},
		{"a_slash_at_the_end", "/a/auth/", "", "/a/user-auth", "", "socket_id=1.2"},
		{"a_slash_at_the_end_of_a_channel", "/a/auth/", "private-a", "/a/auth/", "", "socket_id=1.2&channel_name=private-a"},
		{"no_path", "", "", "/user-auth", "", "socket_id=1.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				for what, pair := range map[string][2]string{
					"method": {r.Method, "POST"},
					"path":   {r.URL.EscapedPath(), tt.path},
					"query":  {r.URL.RawQuery, tt.query},
					"body":   {string(body), tt.body},
				} {
					if pair[0] != pair[1] {
						t.Errorf("%s %q, want %q", what, pair[0], pair[1])
					}
				}
				want := map[string]string{
					"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json",
					"X-Requested-With": "XMLHttpRequest", "User-Agent": "resound",
				}
				for i, name := range Headers {
					want[name] = credentials[i]
				}
				for name, value := range want {
					if got := r.Header.Get(name); got != value {
						t.Errorf("%s = %q, want %q", name, got, value)
					}
				}
				w.WriteHeader(http.StatusForbidden)
			})
			s := newShield(t, app.URL+tt.upstream, nil)
			if _, err := s.Ask(&Question{SocketID: "1.2", Channel: tt.channel, Credentials: credentials}); err == nil {
				t.Error("granted, want 403")
			}
		})
	}
}

func TestABadApplicationGrantsNothing(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		err    string
	}{
		{"that_hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "did not answer in time"},
		{"that_dies", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot be asked"},
		{"that_dies_within_its_answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"auth":"reverb-key:x"}`)
			panic(http.ErrAbortHandler)
		}, "cannot be asked"},
		{"that_stops_within_its_answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"auth":"reverb-key:x"}`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "did not answer in time"},
		{"that_never_ends", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "longer than 65536 bytes"},
		{"that_drips", func(w http.ResponseWriter, r *http.Request) {
			drop := time.NewTicker(10 * time.Millisecond)
			defer drop.Stop()
			for {
				select {
				case <-r.Context().Done():
					return
				case <-drop.C:
					_, _ = w.Write([]byte{' '})
					_ = http.NewResponseController(w).Flush()
				}
			}
		}, "did not answer in time"},
		{"with_endless_headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxAnswerHeaderBytes))
			_, _ = io.WriteString(w, `{"auth":"reverb-key:x"}`)
		}, "cannot be asked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, tt.answer)
			s := newShield(t, app.URL, func(o *Options) { o.Timeout = 200 * time.Millisecond })
			got, err := s.Ask(question("private-a", "me"))
			var away *Unavailable
			if !errors.As(err, &away) || !strings.Contains(err.Error(), tt.err) || got != (Grant{}) {
				t.Errorf("%+v, %v, want %q", got, err, tt.err)
			}
			if n := app.asked.Load(); n != 1 {
				t.Errorf("%d questions, want 1", n)
			}
		})
	}
	t.Run("that_is_gone", func(t *testing.T) {
		app := newApplication(t, grants)
		s := newShield(t, app.URL, nil)
		app.Close()
		if got, err := s.Ask(question("private-a", "me")); err == nil || !strings.Contains(err.Error(), "cannot be asked") {
			t.Errorf("%+v, %v, want that it cannot be asked", got, err)
		}
	})
	t.Run("that_comes_back", func(t *testing.T) {
		app := newApplication(t, grants)
		addr := app.Listener.Addr().String()
		s := newShield(t, app.URL, nil)
		app.Close()
		if _, err := s.Ask(question("private-a", "me")); err == nil {
			t.Fatal("granted by nobody")
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skip("somebody else took the port: ", err)
		}
		back := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(grants)}}
		back.Start()
		defer back.Close()
		if _, err := s.Ask(question("private-a", "me")); err != nil {
			t.Error(err)
		}
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	granting := newApplication(t, grants)
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, granting.URL, status)
			})
			s := newShield(t, app.URL, nil)
			if got, err := s.Ask(question("private-a", "me")); err == nil || !strings.Contains(err.Error(), fmt.Sprint("status ", status)) {
				t.Errorf("%+v, %v, want status %d", got, err, status)
			}
			if n := granting.asked.Load(); n > 0 {
				t.Errorf("%d questions went to the target, want none", n)
			}
		})
	}
}

// An application, or a proxy before it, that sends an answer too many must not
// have it taken for the answer to the next user's question.
func TestAnAnswerTooManyIsNobodys(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	granted, repeated := make(chan struct{}), make(chan struct{})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { answerTwice(conn, granted, repeated) })
		}
	})
	defer serving.Wait()
	defer ln.Close()
	s := newShield(t, "http://"+ln.Addr().String()+"/auth", nil)
	if g, err := s.Ask(question("presence-a", "me")); err != nil || g.ChannelData != `{"user_id":"me"}` {
		t.Errorf("%+v, %v", g, err)
	}
	close(granted)
	<-repeated
	if g, err := s.Ask(question("presence-a", "you")); err == nil {
		t.Errorf("somebody else was granted %+v", g)
	}
}

// answerTwice refuses everybody but "me", who is granted everything, and once
// more after the first answer has arrived.
func answerTwice(conn net.Conn, granted <-chan struct{}, repeated chan<- struct{}) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Cookie") != "me" {
			_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		body := `{"auth":"reverb-key:x","channel_data":"{\"user_id\":\"me\"}"}`
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		_, _ = io.WriteString(conn, answer)
		<-granted
		_, _ = io.WriteString(conn, answer)
		close(repeated)
	}
}

func TestTLS(t *testing.T) {
	app := &application{Server: httptest.NewUnstartedServer(http.HandlerFunc(grants))}
	app.Config.ErrorLog = discardLog
	app.StartTLS()
	defer app.Close()
	s := newShield(t, app.URL, nil)
	if g, err := s.Ask(question("private-a", "me")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%+v, %v, want that the certificate is not trusted", g, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(app.Certificate())
	s.upstream.client.TLSConfig = &tls.Config{RootCAs: roots}
	if _, err := s.Ask(question("private-a", "me")); err != nil {
		t.Error(err)
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	tests := []struct {
		name, header string
		want         int
	}{
		{"seconds", "7", 7},
		{"none", "", 0},
		{"a_date", "Wed, 21 Oct 2026 07:28:00 GMT", 0},
		{"negative", "-1", 0},
		{"years", "999999999", maxRetryAfter},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.header != "" {
					w.Header().Set("Retry-After", tt.header)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			})
			_, err := newShield(t, app.URL, nil).Ask(question("private-a", "me"))
			var no *Refusal
			if !errors.As(err, &no) || no.Status != 429 || no.RetryAfter != tt.want {
				t.Errorf("%+v, want 429 after %d s", err, tt.want)
			}
		})
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for _, upstream := range []string{"", "localhost:8000", "/auth", "ftp://a.test/auth", "http://", "http://a b/"} {
		if _, err := New(Options{Upstream: upstream}); err == nil || !strings.Contains(err.Error(), "is not an http or https URL") {
			t.Errorf("New with %q: %v", upstream, err)
		}
	}
}
