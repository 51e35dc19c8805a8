package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fillers is how many connections a drain closes before those that a test looks at.
const fillers = 40

// halfRestarted is a server that gave way to another process, and goes on to drain for
// longer than the test takes. before is run with it, between the fillers and the
// restart.
func halfRestarted(t *testing.T, settings map[string]string, before func(s *server)) (c *commanded, oldPID int) {
	t.Helper()
	c = startCommanded(t, startOptions{
		args: append([]string{"--workers", "1"}, anyPort...), restarts: true,
		env: with(settings, map[string]string{"RESOUND_DRAIN_TIMEOUT": "3600"}),
	})
	oldPID = c.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(oldPID, syscall.SIGKILL) })
	for range fillers {
		open(t, c.server)
	}
	before(c.server)
	c.run(t, "restart")
	return c, oldPID
}

func with(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func userData(id string) string { return fmt.Sprintf(`{"user_id":%q}`, id) }

// TestRestartIsNotNoticed has clients at both processes of a restart: what happens at
// one is told at the other.
func TestRestartIsNotNoticed(t *testing.T) {
	t.Parallel()
	var a, b *socket
	c, oldPID := halfRestarted(t, nil, func(s *server) {
		a, b = open(t, s), open(t, s)
		for _, k := range []*socket{a, b} {
			k.join(t, "private-x", "")
		}
		a.join(t, "presence-x", userData("a"))
		b.join(t, "presence-x", userData("b"))
		a.next(t) // b is there
		s.api().trigger(t, "cache-x", "kept", "old")
		s.api().trigger(t, "cache-y", "kept", "old")
	})
	n := open(t, c.server)

	// The channel's last event came along, and is replaced for both.
	n.subscribe(t, "cache-x")
	n.next(t)
	n.expect(t, `{"event":"kept","channel":"cache-x","data":"old"}`)

	// The roster is that of both.
	if got := n.join(t, "presence-x", userData("n")).text(t); !sameJSON(got, `{"presence":{"count":3,"ids":["a","b","n"],"hash":{"a":null,"b":null,"n":null}}}`) {
		t.Errorf("the roster at the new process is %s", got)
	}
	for _, k := range []*socket{a, b} {
		if e := decode(t, k.next(t)); e.Event != "pusher_internal:member_added" {
			t.Errorf("at the old process %s, want to hear that n came", e.Event)
		}
	}
	c.api().expect(t, "/channels/presence-x", "user_count", `{"occupied":true,"user_count":3}`)

	// Events of the application and of clients, in both directions.
	n.join(t, "private-x", "")
	c.api().trigger(t, "private-x", "hello", "all")
	for _, k := range []*socket{a, b, n} {
		k.expect(t, `{"event":"hello","channel":"private-x","data":"all"}`)
	}
	a.send(t, `{"event":"client-from-old","channel":"private-x","data":1}`)
	b.expect(t, `{"event":"client-from-old","channel":"private-x","data":1}`)
	n.expect(t, `{"event":"client-from-old","channel":"private-x","data":1}`)
	n.send(t, `{"event":"client-from-new","channel":"private-x","data":2}`)
	a.expect(t, `{"event":"client-from-new","channel":"private-x","data":2}`)
	b.expect(t, `{"event":"client-from-new","channel":"private-x","data":2}`)
	c.api().post(t, "/events", map[string]any{"name": "hello", "channel": "private-x", "data": "but a", "socket_id": a.id}, `{}`)
	b.expect(t, `{"event":"hello","channel":"private-x","data":"but a"}`)
	n.expect(t, `{"event":"hello","channel":"private-x","data":"but a"}`)

	// A user who moves neither leaves nor comes.
	a.close(t)
	moved := open(t, c.server)
	moved.join(t, "presence-x", userData("a"))
	c.api().trigger(t, "presence-x", "after", "the move")
	b.expect(t, `{"event":"after","channel":"presence-x","data":"the move"}`)
	n.expect(t, `{"event":"after","channel":"presence-x","data":"the move"}`)

	// The old process breaks off: who was there only is gone.
	if err := syscall.Kill(oldPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.expect(t, `{"event":"pusher_internal:member_removed","channel":"presence-x","data":"{\"user_id\":\"b\"}"}`)
	c.expectOutput(t, "the process before has ended")
	c.api().expect(t, "/channels/presence-x", "user_count", `{"occupied":true,"user_count":2}`)
	moved.next(t) // the trigger
	moved.next(t) // b left
	moved.close(t)
	n.expect(t, `{"event":"pusher_internal:member_removed","channel":"presence-x","data":"{\"user_id\":\"a\"}"}`)

	// A last event that nobody asked for until now.
	n.subscribe(t, "cache-y")
	n.next(t)
	n.expect(t, `{"event":"kept","channel":"cache-y","data":"old"}`)
}

// TestRestartTellsWebhooksOnce has channels that are occupied all the time: the
// application does not hear that they were vacated.
func TestRestartTellsWebhooksOnce(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	args := append(appsFile(t, map[string]any{}, testApp.entry(map[string]any{
		"webhooks": []any{r.hook("/", map[string]any{"event_types": []string{"channel_occupied", "channel_vacated", "member_added", "member_removed"}})},
	})), "--workers", "1")
	c := startCommanded(t, startOptions{args: args, restarts: true, bare: true, env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"}})
	pid := c.cmd.Process.Pid
	a := open(t, c.server)
	a.join(t, "presence-x", userData("a"))
	want := []string{`{"name":"channel_occupied","channel":"presence-x"}`, `{"name":"member_added","channel":"presence-x","user_id":"a"}`}
	r.until(t, "the webhooks of the first process", func(all []delivery) bool { return len(accepted(t, all)) == len(want) })
	for i := range 2 {
		c.run(t, "restart")
		a.expectClose(t, 4200)
		a = open(t, c.server)
		a.join(t, "presence-x", userData("a"))
		eventually(t, "the old process ends", func() bool { return !runs(pid) })
		var status struct{ PID int }
		c.runJSON(t, &status, "status")
		pid = status.PID
		eventually(t, "the new process is alone", func() bool {
			return strings.Count(c.out.String(), "the process before has ended") > i
		})
	}
	a.close(t)
	want = append(want, `{"name":"member_removed","channel":"presence-x","user_id":"a"}`, `{"name":"channel_vacated","channel":"presence-x"}`)
	r.until(t, "the webhooks of the last process", func(all []delivery) bool { return len(accepted(t, all)) >= len(want) })
	open(t, c.server).join(t, "presence-y", userData("b")) // what comes before it was sent
	all := r.expectEvent(t, `{"name":"member_added","channel":"presence-y","user_id":"b"}`)
	expectEvents(t, ofChannel(t, "presence-x", accepted(t, all)), want...)
	if got := c.status("/up"); got != http.StatusOK {
		t.Errorf("GET /up is %d", got)
	}
}

// TestRestartKeepsFigures: custom metrics and the history are those of before, and go
// on at once, while the old process drains.
func TestRestartKeepsFigures(t *testing.T) {
	t.Parallel()
	const metrics = "/metrics"
	c, _ := halfRestarted(t, map[string]string{"RESOUND_MONITORING_STORAGE": filepath.Join(t.TempDir(), "history.db")}, func(s *server) {
		s.api().post(t, metrics, []map[string]any{{"name": "load", "value": 7}, {"name": "orders", "value": 2, "type": "counter"}}, `{}`)
	})
	c.api().post(t, metrics, map[string]any{"name": "orders", "value": 3, "type": "counter"}, `{}`)
	expectSays(t, request(t, http.MethodGet, c.url(metrics), "").body,
		`name="load"} 7`+"\n", `name="orders"} 5`+"\n")
	c.run(t, "export")
	if out := c.out.String(); strings.Contains(out, "no history is kept") || strings.Contains(out, "begin anew") {
		t.Errorf("it says:\n%s", out)
	}
}
