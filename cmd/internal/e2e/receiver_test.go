package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// receiver is a process that receives webhooks.
type receiver struct {
	*process
	address string
}

// startReceiver starts a receiver that accepts everything.
func startReceiver(t *testing.T) *receiver {
	t.Helper()
	return startReceiverAt(t, "127.0.0.1:0")
}

func startReceiverAt(t *testing.T, address string) *receiver {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{receiverEnv + "=" + address}
	r := &receiver{process: launch(t, cmd)}
	r.address = r.expectOutput(t, `receiver at (\S+)`)[1]
	return r
}

func (r *receiver) url(path string) string { return "http://" + r.address + path }

// hook is a webhook of an app, with more settings.
func (r *receiver) hook(path string, settings map[string]any) map[string]any {
	hook := map[string]any{"url": r.url(path)}
	for name, value := range settings {
		hook[name] = value
	}
	return hook
}

// react makes the receiver answer otherwise from now on.
func (r *receiver) react(t *testing.T, how reaction) {
	t.Helper()
	text, err := json.Marshal(how)
	if err != nil {
		t.Fatal(err)
	}
	if got := request(t, http.MethodPut, r.url("/reaction"), string(text)); got.status != http.StatusOK {
		t.Fatalf("PUT /reaction = %d %s, want 200", got.status, got.body)
	}
}

// deliveries are the requests that the receiver has had so far.
func (r *receiver) deliveries(t *testing.T) []delivery {
	t.Helper()
	all, _ := r.read(t)
	return all
}

// read is deliveries with a channel that is closed when there may be more.
func (r *receiver) read(t *testing.T) (all []delivery, changed <-chan struct{}) {
	t.Helper()
	text, changed := r.out.read()
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "\n") {
			continue // not a delivery, or not all of it
		}
		var d delivery
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("receiver printed %q: %v", line, err)
		}
		all = append(all, d)
	}
	return all, changed
}

// until waits until the deliveries fulfil a condition and returns them.
func (r *receiver) until(t *testing.T, what string, reached func([]delivery) bool) []delivery {
	t.Helper()
	deadline := time.After(patience)
	for {
		all, changed := r.read(t)
		if reached(all) {
			return all
		}
		select {
		case <-changed:
		case <-r.done:
			t.Fatalf("the receiver ended; want %s", what)
		case <-deadline:
			t.Fatalf("not reached within %v: %s", patience, what)
		}
	}
}

// expectDeliveries waits until there are n.
func (r *receiver) expectDeliveries(t *testing.T, n int) []delivery {
	t.Helper()
	return r.until(t, "more deliveries", func(all []delivery) bool { return len(all) >= n })
}

// expectEvent waits until an event, given as JSON, has been accepted.
func (r *receiver) expectEvent(t *testing.T, want string) []delivery {
	t.Helper()
	return r.until(t, want, func(all []delivery) bool {
		for _, event := range accepted(t, all) {
			if sameJSON(event, want) {
				return true
			}
		}
		return false
	})
}

// events are those of a delivery, each as JSON.
func (d *delivery) events(t *testing.T) []string {
	t.Helper()
	var body struct {
		TimeMS int64             `json:"time_ms"`
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal([]byte(d.Body), &body); err != nil || body.TimeMS == 0 || len(body.Events) == 0 {
		t.Fatalf("webhook %s (%v), want time_ms and events", d.Body, err)
	}
	var events []string
	for _, event := range body.Events {
		events = append(events, string(event))
	}
	return events
}

// accepted are the events of the deliveries that were answered with 2xx.
func accepted(t *testing.T, all []delivery) (events []string) {
	t.Helper()
	for i := range all {
		if all[i].Status/100 == 2 {
			events = append(events, all[i].events(t)...)
		}
	}
	return events
}

// unrepeated are the accepted events without those whose id was there before: a node that
// was killed may have sent what it had no time to cross out.
func unrepeated(t *testing.T, all []delivery) (events, ids []string) {
	t.Helper()
	for i := range all {
		if all[i].Status/100 != 2 {
			continue
		}
		list, of := all[i].events(t), strings.Split(all[i].Headers["x-resound-event-ids"], ",")
		if len(of) != len(list) {
			t.Fatalf("%d events have the ids %q", len(list), of)
		}
		for j, id := range of {
			if !slices.Contains(ids, id) {
				events, ids = append(events, list[j]), append(ids, id)
			}
		}
	}
	return events, ids
}

// ofChannel are the events of one channel.
func ofChannel(t *testing.T, channel string, events []string) (of []string) {
	t.Helper()
	for _, event := range events {
		if decode(t, event).Channel == channel {
			of = append(of, event)
		}
	}
	return of
}

// expectEvents compares events, each as JSON.
func expectEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = sameJSON(got[i], want[i])
	}
	if !same {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
