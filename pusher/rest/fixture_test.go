package rest

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"resound/channels"
	"resound/channels/cluster"
	"resound/pusher"
)

const (
	appID     = "123456"
	appKey    = "reverb-key"
	appSecret = "reverb-secret"
)

var testNow = time.Unix(1_700_000_000, 0)

// fakeNode is a real node that records publications and terminations, and can
// fail.
type fakeNode struct {
	*pusher.Node

	mu         sync.Mutex
	triggered  []pusher.Event
	terminated []string
	now        time.Time
	err        error // of every Trigger
	listErr    error // of every Channels
	panics     bool
	full       bool
}

func (n *fakeNode) Channels(a *pusher.App, prefix string) ([]channels.NamedOccupancy, error) {
	if n.listErr != nil {
		return nil, n.listErr
	}
	return n.Node.Channels(a, prefix)
}

func (n *fakeNode) Trigger(a *pusher.App, e pusher.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.panics {
		panic("the node broke")
	}
	if n.err != nil {
		return n.err
	}
	e.Channel, e.Name, e.Data = strings.Clone(e.Channel), strings.Clone(e.Name), strings.Clone(e.Data)
	n.triggered = append(n.triggered, e)
	return n.Node.Trigger(a, e)
}

func (n *fakeNode) TerminateUser(a *pusher.App, userID string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.terminated = append(n.terminated, userID)
	if n.err != nil {
		return n.err
	}
	return n.Node.TerminateUser(a, userID)
}

func (n *fakeNode) OverCapacity() bool { return n.full }

func (n *fakeNode) Now() time.Time { return n.now }

// fixture is a server with its node, reached over memory.
type fixture struct {
	t      *testing.T
	node   *fakeNode
	app    *pusher.App
	server *Server
	ln     *fasthttputil.InmemoryListener
	prefix string
}

// newFixture starts a server with one app and whatever change makes of both.
func newFixture(t *testing.T, change func(*Options, *pusher.AppOptions)) *fixture {
	t.Helper()
	return newFixtureIn(t, nil, change)
}

// newFixtureIn is newFixture for a node of a cluster.
func newFixtureIn(t *testing.T, adapter cluster.Adapter, change func(*Options, *pusher.AppOptions)) *fixture {
	t.Helper()
	o := Options{Logger: slog.New(slog.DiscardHandler)}
	app := pusher.AppConfig{ID: appID, Key: appKey, Secret: appSecret}
	if change != nil {
		change(&o, &app.Options)
	}
	node, err := pusher.NewNode(pusher.Options{Apps: []pusher.AppConfig{
		app,
		{ID: "off", Key: "off-key", Secret: appSecret, Options: pusher.AppOptions{Disabled: true}},
	}, Now: func() time.Time { return testNow }, Cluster: adapter})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, node: &fakeNode{Node: node, now: testNow}, app: node.AppByID(appID), prefix: o.Path}
	o.Node = f.node
	if f.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	f.ln = fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(f.ln) }()
	t.Cleanup(func() {
		if err := f.ln.Close(); err != nil {
			t.Errorf("closing the listener: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return f
}

// sign returns the query that a client library sends, written from Pusher's
// documentation and not with package auth, so that they cannot share a mistake.
func sign(method, path string, params map[string]string, body string) string {
	all := map[string]string{
		"auth_key": appKey, "auth_timestamp": fmt.Sprint(testNow.Unix()), "auth_version": "1.0",
	}
	if body != "" {
		sum := md5.Sum([]byte(body))
		all["body_md5"] = hex.EncodeToString(sum[:])
	}
	for k, v := range params {
		if all[k] = v; v == "" {
			delete(all, k)
		}
	}
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	pairs := make([]string, 0, len(keys))
	escaped := make([]string, 0, len(keys))
	for _, k := range keys {
		pairs = append(pairs, k+"="+all[k])
		escaped = append(escaped, k+"="+url.QueryEscape(all[k]))
	}
	return strings.Join(escaped, "&") + "&auth_signature=" + hmacHex(method+"\n"+path+"\n"+strings.Join(pairs, "&"))
}

func hmacHex(text string) string {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// response is what came back.
type response struct {
	status int
	header http.Header
	body   string
	closed bool // the server said that it closes
}

// call makes a signed request. Query parameters may follow the path; body is
// sent by POST, and none by GET.
func (f *fixture) call(path, body string) response {
	f.t.Helper()
	method := "GET"
	if body != "" {
		method = "POST"
	}
	return f.do(method, path, body)
}

func (f *fixture) do(method, path, body string) response {
	f.t.Helper()
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		f.t.Fatal(err)
	}
	params := map[string]string{}
	for k := range values {
		params[k] = values.Get(k)
	}
	return f.send(method, f.prefix+path+"?"+sign(method, path, params, body), body)
}

// send makes a request as it is, on a connection of its own.
func (f *fixture) send(method, target, body string) response {
	f.t.Helper()
	return f.raw(method, method+" "+target+" HTTP/1.1\r\nHost: x\r\n"+
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))+body)[0]
}

// raw writes bytes to a connection of its own and reads one response for each
// method in methods, a list with commas. It waits for the end of the connection
// when the last response announces it.
func (f *fixture) raw(methods, text string) []response {
	f.t.Helper()
	conn, err := f.ln.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	return converse(f.t, conn, methods, text)
}

// stormPatience is how long an answer may take. Thousands wait for each other in a storm, and
// the race detector and a busy test host are slow.
const stormPatience = 5 * time.Minute

func converse(t *testing.T, conn net.Conn, methods, text string) []response {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(stormPatience)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, text) }()
	in := bufio.NewReader(conn)
	var out []response
	for method := range strings.SplitSeq(methods, ",") {
		out = append(out, readResponse(t, in, method))
	}
	// A connection that was refused for its size is read on until we close it.
	if last := out[len(out)-1]; last.closed && last.status != 413 && last.status != 431 {
		if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("behind a response that closes came %q, %v", rest, err)
		}
	}
	return out
}

func readResponse(t *testing.T, in *bufio.Reader, method string) response {
	t.Helper()
	got, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode >= 200 && got.StatusCode != 204 {
		if got.Header.Get("Content-Length") == "" {
			t.Errorf("status %d has no Content-Length", got.StatusCode)
		}
		if got.Header.Get("Content-Type") == "" {
			t.Errorf("status %d has no Content-Type", got.StatusCode)
		}
	}
	return response{got.StatusCode, got.Header, string(body), got.Close}
}

// check compares a response with a status and a body: JSON by value, a text by
// what it begins with.
func (got response) check(t *testing.T, status int, body string) {
	t.Helper()
	if got.status != status {
		t.Fatalf("status %d %q, want %d", got.status, got.body, status)
	}
	if got.header.Get("Content-Type") != contentJSON {
		if !strings.HasPrefix(got.body, body) || body == "" {
			t.Errorf("body %q, want one that begins with %q", got.body, body)
		}
		return
	}
	var gotJSON, wantJSON any
	if err := json.Unmarshal([]byte(body), &wantJSON); err != nil {
		t.Fatalf("the wanted body %q: %v, got %q", body, err, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &gotJSON); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	if !reflect.DeepEqual(gotJSON, wantJSON) {
		t.Errorf("body %s, want %s", got.body, body)
	}
}

func (f *fixture) subscribe(channel string, times int) {
	for range times {
		f.app.Directory().Subscribe(channel, 0, testNow)
	}
}

// join seats users whose ids are JSON tokens.
func (f *fixture) join(channel string, ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		f.joinAs(channel, id, "null")
	}
}

// joinAs seats a user with a user_info.
func (f *fixture) joinAs(channel, id, info string) {
	f.t.Helper()
	m := &channels.Member{ID: strings.Trim(id, `"`), IDJSON: id, Info: info}
	_, _, err := f.app.Directory().Join(channel, 0, m, 0, nil, testNow)
	if err != nil {
		f.t.Fatal(err)
	}
}

// events returns what was triggered so far, as "channel name data".
func (f *fixture) events() []string {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	out := []string{}
	for _, e := range f.node.triggered {
		line := e.Channel + " " + e.Name + " " + e.Data
		if !e.Except.IsZero() {
			line += " except " + e.Except.String()
		}
		out = append(out, line)
	}
	return out
}

func (f *fixture) checkEvents(want ...string) {
	f.t.Helper()
	if got := f.events(); !slices.Equal(got, want) {
		f.t.Errorf("triggered %q, want %q", got, want)
	}
}
