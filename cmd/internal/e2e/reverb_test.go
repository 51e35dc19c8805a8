package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
)

// behavior is one of the behaviors that Reverb's own test suite asks of a server
// over real sockets, with its number in our list of them.
//
// Reverb: tests/Feature/Protocols/Pusher/Reverb/ServerTest.php.
type behavior struct {
	item int
	name string
	// departs says how we differ on purpose; empty when we do not.
	departs string
	check   func(t *testing.T, w *world)
}

// notApplicable lists the behaviors that are not tested here, and why.
var notApplicable = []struct {
	item   int
	name   string
	reason string
}{
	{29, "http_event_through_redis", "it is in TestClusterIsOneServer"},
	{30, "whisper_through_redis", "it is in TestClusterIsOneServer"},
}

func TestReverb(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, b := range behaviors() {
		t.Run(fmt.Sprintf("reverb_%02d_%s", b.item, b.name), func(t *testing.T) {
			t.Parallel()
			if b.departs != "" {
				t.Log("departs from Reverb: " + b.departs)
			}
			b.check(t, w)
		})
	}
}

func behaviors() []behavior {
	var all []behavior
	for _, some := range [][]behavior{connectBehaviors, subscribeBehaviors, cacheBehaviors, eventBehaviors, livenessBehaviors, limitBehaviors} {
		all = append(all, some...)
	}
	return all
}

func TestEveryBehaviorOfReverbIsAccountedFor(t *testing.T) {
	t.Parallel()
	const items = 48
	seen := map[int]int{}
	for _, b := range behaviors() {
		seen[b.item]++
	}
	for _, b := range notApplicable {
		t.Logf("reverb_%02d_%s is not tested here: %s", b.item, b.name, b.reason)
		seen[b.item]++
	}
	for item := 1; item <= items; item++ {
		if seen[item] != 1 {
			t.Errorf("behavior %d is there %d times, want once: as a test or with a reason why not", item, seen[item])
		}
		delete(seen, item)
	}
	for item := range seen {
		t.Errorf("behavior %d is not in the list of 1 to %d", item, items)
	}
}

// world is a server with the apps of Reverb's test suite, and some with a
// setting each. Behaviors share it and run at the same time: each uses channels
// of its own, and those that look at connections an app of their own.
type world struct {
	*server
	apps map[string]credentials
}

// worldApps are the settings of each app beside its credentials.
var worldApps = map[string]map[string]any{
	"reverb-key":   {},
	"reverb-key-2": {"max_message_size": 1_000_000, "max_connections": 1, "ping_interval": 10},
	"reverb-key-3": {"allowed_origins": []string{"laravel.com"}, "max_message_size": 1},
	"single":       {"max_connections": 1},
	"large":        {"max_message_size": 1_000_000},
	"watched":      {"ping_interval": 1},
}

const worldRequestBytes = 200_000

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{apps: map[string]credentials{}}
	var apps []map[string]any
	for key, settings := range worldApps {
		app := credentials{id: "id-of-" + key, key: key, secret: "secret-of-" + key}
		w.apps[key] = app
		all := map[string]any{"allowed_origins": []string{"*"}, "ping_interval": 60, "max_message_size": 10_000}
		maps.Copy(all, settings)
		apps = append(apps, app.entry(all))
	}
	w.server = start(t, startOptions{args: appsFile(t, map[string]any{"max_request_size": worldRequestBytes}, apps...), bare: true})
	return w
}

// open connects to Reverb's first app.
func (w *world) open(t *testing.T) *socket {
	t.Helper()
	return w.openApp(t, "reverb-key")
}

func (w *world) openApp(t *testing.T, key string) *socket {
	t.Helper()
	return openApp(t, w.server, w.apps[key], nil)
}

// dial makes the handshake with an app from an origin, which may be empty.
func (w *world) dial(t *testing.T, key, origin string) *socket {
	t.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	return dial(t, w.server, w.apps[key], header)
}

// api is the HTTP API of Reverb's first app.
func (w *world) api() rest { return rest{w.server, w.apps["reverb-key"]} }

// expectEvent reads an event whose data is a JSON string and compares the string
// as JSON.
func (k *socket) expectEvent(t *testing.T, name, channel, data string) {
	t.Helper()
	text := k.next(t)
	got := decode(t, text)
	if got.Event != name || got.Channel != channel || !sameJSON(got.text(t), data) {
		t.Fatalf("received %s, want %s on %s with %s", text, name, channel, data)
	}
}

// expectRefused reads the answer to a subscription without valid authorization.
func (k *socket) expectRefused(t *testing.T, channel string) {
	t.Helper()
	k.expectError(t, 4009, "Connection is unauthorized")
	k.expectEvent(t, "pusher:subscription_error", channel, `{"type":"AuthError","error":"Connection is unauthorized","status":401}`)
}

// alsoSubscriptionError is how a refused subscription departs from Reverb.
const alsoSubscriptionError = "pusher:subscription_error follows, so that Echo's error() fires"

// member is the channel data of Reverb's tests.
func member(id int) string {
	return fmt.Sprintf(`{"user_id":%d,"user_info":{"name":"Test User"}}`, id)
}
