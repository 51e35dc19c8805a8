package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// driver runs a script of js/ and speaks its line protocol. Safe for concurrent
// use.
type driver struct {
	process *process
	in      io.Writer

	mu         sync.Mutex
	commands   int
	replies    map[int]line
	happenings []happening
	changed    chan struct{} // closed and replaced when a line arrives
}

// line is one line of a script: the reply to a command, or a happening.
type line struct {
	Reply int    `json:"reply"` // number of the command; 0 for a happening
	Error string `json:"error"` // of a command that failed
	happening
}

// happening is what a client reported.
type happening struct {
	Client  string          `json:"client"`
	Name    string          `json:"name"` // "state", "subscribed", "here", "event", ...
	Channel string          `json:"channel"`
	Event   string          `json:"event"`
	Value   json.RawMessage `json:"value"`
	User    json.RawMessage `json:"user"` // user_id of a client event

	taken bool // an expect has returned it
}

// drive starts a script of js/ with more environment.
func drive(t *testing.T, script string, env ...string) *driver {
	t.Helper()
	needPackages(t)
	cmd := exec.Command("node", filepath.Join("js", script))
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, lines := io.Pipe()
	cmd.Stdout = lines
	d := &driver{in: in, replies: map[int]line{}, changed: make(chan struct{})}
	d.process = launch(t, cmd)
	read := make(chan struct{})
	go func() {
		defer close(read)
		d.read(out)
	}()
	// Runs before the cleanup of launch: the script ends by itself, and closes
	// what it has opened, when its input ends.
	t.Cleanup(func() {
		in.Close()
		select {
		case <-d.process.done:
		case <-time.After(patience):
			t.Errorf("%s did not end within %v of its input", script, patience)
			_ = d.process.cmd.Process.Kill()
			<-d.process.done
		}
		lines.Close()
		<-read
	})
	return d
}

// read takes in the lines of the script until they end.
func (d *driver) read(out io.Reader) {
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			_, _ = d.process.out.Write([]byte(scanner.Text() + "\n")) // a library printed it
			continue
		}
		d.take(l)
	}
	_, _ = io.Copy(io.Discard, out) // a line too long must not block the script
}

func (d *driver) take(l line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.Reply != 0 {
		d.replies[l.Reply] = l
	} else {
		d.happenings = append(d.happenings, l.happening)
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// until waits until found, called with the lock held, returns true.
func (d *driver) until(t *testing.T, found func() bool) bool {
	t.Helper()
	deadline := time.After(patience)
	for {
		d.mu.Lock()
		ok, changed := found(), d.changed
		d.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-d.process.done:
			t.Fatalf("the script ended; output:\n%s", d.process.out.String())
		case <-deadline:
			return false
		}
	}
}

// arguments of a command.
type arguments map[string]any

// do runs an operation and returns its result.
func (d *driver) do(t *testing.T, operation string, a arguments) json.RawMessage {
	t.Helper()
	d.mu.Lock()
	d.commands++
	id := d.commands
	d.mu.Unlock()
	command := map[string]any{"id": id, "op": operation}
	for name, value := range a {
		command[name] = value
	}
	text, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.in.Write(append(text, '\n')); err != nil {
		t.Fatalf("%s: %v; output:\n%s", operation, err, d.process.out.String())
	}
	var r line
	if !d.until(t, func() bool {
		var done bool
		r, done = d.replies[id]
		return done
	}) {
		t.Fatalf("%s: no reply within %v", operation, patience)
	}
	if r.Error != "" {
		t.Fatalf("%s: %s", operation, r.Error)
	}
	return r.Value
}

// expect waits for the next happening of a client with this name on a channel;
// channel is empty for happenings of the connection. Others are left for later.
func (d *driver) expect(t *testing.T, client, name, channel string) happening {
	t.Helper()
	return d.expectWhere(t, client, name, channel, func(happening) bool { return true })
}

// expectWhere is expect for happenings that fulfil a condition.
func (d *driver) expectWhere(t *testing.T, client, name, channel string, condition func(happening) bool) happening {
	t.Helper()
	var found happening
	if !d.until(t, func() bool {
		for i := range d.happenings {
			h := &d.happenings[i]
			if !h.taken && h.Client == client && h.Name == name && h.Channel == channel && condition(*h) {
				h.taken = true
				found = *h
				return true
			}
		}
		return false
	}) {
		t.Fatalf("%s has no %q on %q within %v; it has:\n%s", client, name, channel, patience, d.history(client))
	}
	return found
}

// expectState waits until the client's connection reaches a state.
func (d *driver) expectState(t *testing.T, client, state string) {
	t.Helper()
	d.expectWhere(t, client, "state", "", func(h happening) bool { return sameJSON(string(h.Value), quote(state)) })
}

// expectValue waits for a happening and compares its value as JSON.
func (d *driver) expectValue(t *testing.T, client, name, channel, want string) happening {
	t.Helper()
	h := d.expect(t, client, name, channel)
	if !sameJSON(string(h.Value), want) {
		t.Fatalf("%s: %s on %s is %s, want %s", client, name, channel, h.Value, want)
	}
	return h
}

// count is how many happenings of a kind a client had so far, taken or not. An
// absence is proved by a happening that must come after it.
func (d *driver) count(client, name, channel string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, h := range d.happenings {
		if h.Client == client && h.Name == name && h.Channel == channel {
			n++
		}
	}
	return n
}

// history is everything a client reported, for messages. It is for callers
// outside of until.
func (d *driver) history(client string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var text string
	for _, h := range d.happenings {
		if h.Client == client {
			text += h.Name + " " + h.Channel + " " + h.Event + " " + string(h.Value) + "\n"
		}
	}
	return text
}
