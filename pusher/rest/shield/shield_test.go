package shield

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnotherUsersCredentialsNeverShareAGrant(t *testing.T) {
	mine := Credentials{"session=a", "Bearer b", "c", "d", "http://e.test"}
	others := map[string]Credentials{
		"none":                       {},
		"a_moved_boundary":           {"session=aB", "earer b", "c", "d", "http://e.test"},
		"a_value_in_another_header":  {"session=a", "Bearer b", "", "cd", "http://e.test"},
		"swapped_values":             {"Bearer b", "session=a", "c", "d", "http://e.test"},
		"a_value_with_blanks_inside": {"session= a", "Bearer b", "c", "d", "http://e.test"},
	}
	for i, header := range Headers {
		other := mine
		other[i] += "x"
		others["another_"+header] = other
		other[i] = ""
		others["no_"+header] = other
	}
	for name, other := range others {
		t.Run(name, func(t *testing.T) {
			// The application knows only who asked first.
			app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
				for i, header := range Headers {
					if r.Header.Get(header) != mine[i] {
						w.WriteHeader(http.StatusForbidden)
						return
					}
				}
				grants(w, r)
			})
			s := newShield(t, app.URL, func(o *Options) { o.CacheTTL = time.Hour })
			if _, err := s.Ask(&Question{SocketID: "1.2", Channel: "presence-a", Credentials: mine}); err != nil {
				t.Fatal(err)
			}
			got, err := s.Ask(&Question{SocketID: "1.2", Channel: "presence-a", Credentials: other})
			var no *Refusal
			if !errors.As(err, &no) || no.Status != 403 || got != (Grant{}) {
				t.Errorf("granted %+v, %v, want 403", got, err)
			}
			if stats := s.stats(); stats.Asked != 2 || stats.Cached != 0 || stats.Shared != 0 {
				t.Errorf("%+v, want 2 questions", stats)
			}
		})
	}
}

func TestAnotherUsersQuestionInFlightIsNotShared(t *testing.T) {
	const users = 20
	arrived, release := make(chan struct{}, users), make(chan struct{})
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		grants(w, r)
	})
	s := newShield(t, app.URL, func(o *Options) { o.CacheTTL = time.Hour })
	var asking sync.WaitGroup
	for i := range users {
		asking.Go(func() {
			want := fmt.Sprintf(`{"user_id":"user=%d"}`, i)
			if g, err := s.Ask(question("presence-a", fmt.Sprint("user=", i))); err != nil || g.ChannelData != want {
				t.Errorf("granted %q, %v, want %q", g.ChannelData, err, want)
			}
		})
	}
	for range users {
		<-arrived // All are in flight at once.
	}
	close(release)
	asking.Wait()
}

func TestEqualQuestionsInFlightAreOne(t *testing.T) {
	const each = 50
	tests := []struct {
		name      string
		questions []*Question
		answer    http.HandlerFunc
		want      uint64
	}{
		{"of_many_socket_ids", []*Question{question("private-a", "me"), {SocketID: "3.4", Channel: "private-a", Credentials: Credentials{"me"}}}, grants, 1},
		{"of_two_channels", []*Question{question("private-a", "me"), question("private-b", "me")}, grants, 2},
		{"of_a_channel_and_a_sign-in", []*Question{question("private-a", "me"), question("", "me")}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"auth":"reverb-key:x","user_data":"{\"id\":\"1\"}"}`)
		}, 2},
		{"of_two_users", []*Question{question("private-a", "me"), question("private-a", "you")}, grants, 2},
		{"that_are_refused", []*Question{question("private-a", "me")}, answers(403, ""), 1},
		{"that_fail", []*Question{question("private-a", "me")}, answers(500, ""), 1},
		{"of_guests_are_many", []*Question{question("private-a", "")}, grants, each},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			release := make(chan struct{})
			app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
				<-release
				tt.answer(w, r)
			})
			s := newShield(t, app.URL, nil)
			var asking sync.WaitGroup
			results := make(chan string, each*len(tt.questions))
			for range each {
				for _, q := range tt.questions {
					asking.Go(func() {
						_, err := s.Ask(q)
						results <- fmt.Sprint(err)
					})
				}
			}
			until(t, "everybody waits", func() bool {
				stats := s.stats()
				return int(stats.Asked+stats.Shared) == each*len(tt.questions)
			})
			close(release)
			asking.Wait()
			close(results)
			if stats := s.stats(); stats.Asked != tt.want {
				t.Errorf("%+v, want %d questions", stats, tt.want)
			}
			first := <-results
			for err := range results {
				if err != first {
					t.Errorf("one got %s, another %s", first, err)
				}
			}
		})
	}
}

func TestWhatIsKept(t *testing.T) {
	tests := []struct {
		name   string
		ttl    time.Duration
		later  time.Duration // between the questions
		status int
		cookie string
		want   int64 // questions
	}{
		{"a_grant_within_its_time", time.Minute, time.Minute - 1, 200, "me", 1},
		{"a_grant_after_its_time", time.Minute, time.Minute, 200, "me", 2},
		{"no_grant_without_a_time", 0, 0, 200, "me", 2},
		{"no_grant_of_a_guest", time.Minute, 0, 200, "", 2},
		{"no_refusal_403", time.Minute, 0, 403, "me", 2},
		{"no_refusal_401", time.Minute, 0, 401, "me", 2},
		{"no_failure", time.Minute, 0, 500, "me", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, answers(tt.status, `{"auth":"reverb-key:x"}`))
			now := time.Unix(1_700_000_000, 0)
			s := newShield(t, app.URL, func(o *Options) {
				o.CacheTTL = tt.ttl
				o.Now = func() time.Time { return now }
			})
			for range 2 {
				if _, err := s.Ask(question("private-a", tt.cookie)); (err == nil) != (tt.status == 200) {
					t.Errorf("%v with status %d", err, tt.status)
				}
				now = now.Add(tt.later)
			}
			if n := app.asked.Load(); n != tt.want {
				t.Errorf("%d questions, want %d", n, tt.want)
			}
		})
	}
}

func TestARefusalEndsNoGrantOfAnother(t *testing.T) {
	var revoked atomic.Bool
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		if revoked.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		grants(w, r)
	})
	now := time.Unix(1_700_000_000, 0)
	s := newShield(t, app.URL, func(o *Options) {
		o.CacheTTL = time.Minute
		o.Now = func() time.Time { return now }
	})
	ask := func() error {
		_, err := s.Ask(question("private-a", "me"))
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	revoked.Store(true)
	if err := ask(); err != nil {
		t.Errorf("within cache_ttl: %v", err)
	}
	now = now.Add(time.Minute)
	if err := ask(); err == nil {
		t.Error("granted after cache_ttl, though the application refuses")
	}
}

func TestMaxInFlight(t *testing.T) {
	const limit = 3
	var inFlight, most atomic.Int64
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		n := inFlight.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		defer inFlight.Add(-1)
		grants(w, r)
	})
	s := newShield(t, app.URL, func(o *Options) { o.MaxInFlight = limit })
	var asking sync.WaitGroup
	for i := range 100 {
		asking.Go(func() {
			if _, err := s.Ask(question("private-a", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if n := most.Load(); n > limit || n == 0 {
		t.Errorf("%d questions at a time, want 1 to %d", n, limit)
	}
}

func TestBeyondMaxInFlight(t *testing.T) {
	release := make(chan struct{})
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		grants(w, r)
	})
	s := newShield(t, app.URL, func(o *Options) { o.MaxInFlight = 1 })
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := s.Ask(question("private-a", "me")); err != nil {
			t.Error(err)
		}
	})
	until(t, "a question in flight", func() bool { return app.asked.Load() == 1 })
	s.options.Timeout = time.Millisecond // of what comes now
	_, err := s.Ask(question("private-a", "you"))
	var away *Unavailable
	if !errors.As(err, &away) || !strings.Contains(err.Error(), "1 questions are in flight") {
		t.Errorf("error %v, want that one question is in flight", err)
	}
	close(release)
	first.Wait()
	if n := app.asked.Load(); n != 1 {
		t.Errorf("%d questions, want 1", n)
	}
}

func TestAFaultLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShield(t, "http://127.0.0.1:1/", nil)
		s.upstream = nil // asking panics
		for range s.options.MaxInFlight {
			s.turns <- struct{}{}
		}
		var all sync.WaitGroup
		all.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic, so the test tests nothing")
				}
			}()
			_, _ = s.Ask(question("private-a", "me"))
		})
		synctest.Wait() // It waits for its turn.
		all.Go(func() {
			if g, err := s.Ask(question("private-a", "me")); err == nil {
				t.Errorf("granted %+v", g)
			}
		})
		synctest.Wait()
		<-s.turns
		all.Wait()
		if len(s.flights) > 0 {
			t.Errorf("%d questions left in flight", len(s.flights))
		}
	})
}
