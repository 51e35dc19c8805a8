package rest

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"resound/pusher"
)

// TestAReconnectStorm: 2,000 clients come back with 5 private channels each.
// What the application is asked:
//
//	               first connect  reconnect
//	cache_ttl off         10,000     10,000
//	cache_ttl on          10,000          0
//
// and never more than max_in_flight of it at a time.
func TestAReconnectStorm(t *testing.T) {
	const clients, perClient, inFlight = 2000, 5, 64
	tests := []struct {
		name             string
		ttl              time.Duration
		first, reconnect int64
	}{
		{"without_cache_ttl", 0, clients * perClient, clients * perClient},
		{"with_cache_ttl", time.Hour, clients * perClient, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, laravel)
			f := newShielded(t, app, func(_ *Options, a *pusher.AppOptions) {
				a.AuthShield.CacheTTL = tt.ttl
				a.AuthShield.Timeout = stormPatience
				a.AuthShield.MaxInFlight = inFlight
			})
			f.storm(clients, perClient, 1)
			if n := app.asked.Load(); n != tt.first {
				t.Errorf("%d questions at the first connect, want %d", n, tt.first)
			}
			app.asked.Store(0)
			f.storm(clients, perClient, 2)
			if n := app.asked.Load(); n != tt.reconnect {
				t.Errorf("%d questions at the reconnect, want %d", n, tt.reconnect)
			}
		})
	}
}

// storm lets every client ask for its channels on one connection, all at once,
// and checks that each gets the signature of its own socket_id.
func (f *fixture) storm(clients, perClient, wave int) {
	f.t.Helper()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			conn, err := f.ln.Dial()
			if err != nil {
				f.t.Error(err)
				return
			}
			defer conn.Close()
			var requests, methods strings.Builder
			socketID := fmt.Sprintf("%d.%d", wave, c+1)
			for i := range perClient {
				requests.WriteString(browserRequest("POST", authPath, formOf(socketID, fmt.Sprint("private-", i)), fmt.Sprint("Cookie: s=", c)))
				methods.WriteString(",POST")
			}
			for i, got := range converse(f.t, conn, methods.String()[1:], requests.String()) {
				want := fmt.Sprintf(`{"auth":"%s:%s"}`, appKey, hmacHex(fmt.Sprintf("%s:private-%d", socketID, i)))
				if got.status != 200 || got.body != want {
					f.t.Errorf("client %d got %d %q, want %q", c, got.status, got.body, want)
				}
			}
		})
	}
	all.Wait()
}

// TestTabsShareAQuestion: what tabs of one browser ask at the same time is asked
// once, and each tab gets the signature of its own socket_id.
func TestTabsShareAQuestion(t *testing.T) {
	const users, tabs = 20, 5
	release := make(chan struct{})
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		laravel(w, r)
	})
	f := newShielded(t, app, nil)
	var all sync.WaitGroup
	for user := range users {
		for tab := range tabs {
			all.Go(func() {
				id := fmt.Sprintf("%d.%d", user+1, tab+1)
				data := fmt.Sprintf(`{"user_id":"s=%d"}`, user)
				got := f.browse(authPath, formOf(id, "presence-a"), fmt.Sprint("Cookie: s=", user))
				got.check(t, 200, fmt.Sprintf(`{"auth":%q,"channel_data":%q}`, appKey+":"+hmacHex(id+":presence-a:"+data), data))
			})
		}
	}
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		if stats := f.server.Stats().Shield; stats.Asked+stats.Shared == users*tabs {
			break
		}
	}
	close(release)
	all.Wait()
	if n := app.asked.Load(); n != users {
		t.Errorf("%d questions, want %d", n, users)
	}
}
