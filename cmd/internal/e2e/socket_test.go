package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socket is a WebSocket connection that speaks the Pusher protocol by hand.
type socket struct {
	conn     *websocket.Conn
	response *http.Response // to the handshake
	id       string         // socket_id
	app      credentials
	patience time.Duration // for each message

	messages chan string   // received, in order; closed at the end
	end      error         // why reading ended; valid once messages is closed
	pings    chan struct{} // one for each WebSocket ping received
	pongs    atomic.Int32  // WebSocket pongs received
}

// maxMessages bounds what a test may leave unread.
const maxMessages = 4096

// open connects to the test app and reads pusher:connection_established.
func open(t *testing.T, s *server) *socket {
	t.Helper()
	return openApp(t, s, testApp, nil)
}

// openApp connects to an app, with more headers.
func openApp(t *testing.T, s *server, app credentials, header http.Header) *socket {
	t.Helper()
	k := dial(t, s, app, header)
	established := k.next(t)
	var data struct {
		SocketID string `json:"socket_id"`
	}
	event := decode(t, established)
	if err := json.Unmarshal([]byte(event.text(t)), &data); event.Event != "pusher:connection_established" || err != nil || data.SocketID == "" {
		t.Fatalf("first message %s, want pusher:connection_established", established)
	}
	k.id = data.SocketID
	return k
}

// dial makes the handshake and reads nothing.
func dial(t *testing.T, s *server, app credentials, header http.Header) *socket {
	t.Helper()
	return dialQuery(t, s, app, "?protocol=7&client=go&version=1.0", header)
}

// dialQuery is dial with a query of one's own.
func dialQuery(t *testing.T, s *server, app credentials, query string, header http.Header) *socket {
	t.Helper()
	k := &socket{app: app, patience: patience, messages: make(chan string, maxMessages), pings: make(chan struct{}, maxMessages)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	scheme := "ws://"
	if s.secure != nil {
		scheme = "wss://"
	}
	client := &http.Client{Transport: &http.Transport{DialContext: s.dial, TLSClientConfig: &tls.Config{RootCAs: s.secure}}}
	conn, response, err := websocket.Dial(ctx, scheme+s.address()+s.path+"/app/"+app.key+query, &websocket.DialOptions{
		HTTPClient: client,
		HTTPHeader: header,
		OnPingReceived: func(context.Context, []byte) bool {
			k.pings <- struct{}{}
			return true
		},
		OnPongReceived: func(context.Context, []byte) { k.pongs.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	k.conn, k.response = conn, response
	conn.SetReadLimit(1 << 20)
	read := make(chan struct{})
	go func() {
		defer close(read)
		k.read()
	}()
	t.Cleanup(func() {
		_ = conn.CloseNow() // an error says that it is closed already
		<-read
		client.CloseIdleConnections()
	})
	return k
}

func (k *socket) read() {
	defer close(k.messages)
	for {
		// The connection's end, not a context, ends this.
		_, text, err := k.conn.Read(context.Background())
		if err != nil {
			k.end = err
			return
		}
		k.messages <- string(text)
	}
}

// send sends a text message.
func (k *socket) send(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := k.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatalf("send %.100s: %v", text, err)
	}
}

// next returns the next message.
func (k *socket) next(t *testing.T) string {
	t.Helper()
	select {
	case text, received := <-k.messages:
		if !received {
			t.Fatalf("connection ended (%v), want a message", k.end)
		}
		return text
	case <-time.After(k.patience):
		t.Fatalf("no message within %v", k.patience)
		return ""
	}
}

// expect compares the next message as JSON.
func (k *socket) expect(t *testing.T, want string) {
	t.Helper()
	if got := k.next(t); !sameJSON(got, want) {
		t.Fatalf("received %s, want %s", got, want)
	}
}

// expectError reads a pusher:error.
//
// Reverb: the data of pusher:error is a JSON string.
func (k *socket) expectError(t *testing.T, code int, message string) {
	t.Helper()
	data, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, message})
	if err != nil {
		t.Fatal(err)
	}
	event := decode(t, k.next(t))
	if event.Event != "pusher:error" || !sameJSON(event.text(t), string(data)) {
		t.Fatalf("received %s %s, want pusher:error %s", event.Event, event.Data, data)
	}
}

// expectClose waits until the server closes, with this code. Messages before it
// are an error.
func (k *socket) expectClose(t *testing.T, code int) websocket.CloseError {
	t.Helper()
	select {
	case text, received := <-k.messages:
		if received {
			t.Fatalf("received %s, want a close with %d", text, code)
		}
	case <-time.After(patience):
		t.Fatalf("no close within %v", patience)
	}
	var closed websocket.CloseError
	if !errors.As(k.end, &closed) || int(closed.Code) != code {
		t.Fatalf("connection ended with %v, want close code %d", k.end, code)
	}
	return closed
}

// subscribe subscribes to a channel that needs no authorization.
func (k *socket) subscribe(t *testing.T, channel string) {
	t.Helper()
	k.send(t, `{"event":"pusher:subscribe","data":{"channel":`+quote(channel)+`}}`)
}

// subscribeSigned subscribes as an application would allow it. The channel data
// may be empty.
//
// Pusher: channel authorization.
func (k *socket) subscribeSigned(t *testing.T, channel, channelData string) {
	t.Helper()
	text := k.id + ":" + channel
	if channelData != "" {
		text += ":" + channelData
	}
	k.subscribeAuth(t, channel, k.app.key+":"+sign(k.app.secret, text), channelData)
}

func (k *socket) subscribeAuth(t *testing.T, channel, auth, channelData string) {
	t.Helper()
	data := `{"channel":` + quote(channel) + `,"auth":` + quote(auth)
	if channelData != "" {
		data += `,"channel_data":` + quote(channelData)
	}
	k.send(t, `{"event":"pusher:subscribe","data":`+data+`}}`)
}

// join subscribes in the way the channel's kind needs and reads the answer.
func (k *socket) join(t *testing.T, channel, channelData string) event {
	t.Helper()
	if strings.HasPrefix(channel, "private-") || strings.HasPrefix(channel, "presence-") {
		k.subscribeSigned(t, channel, channelData)
	} else {
		k.subscribe(t, channel)
	}
	got := decode(t, k.next(t))
	for got.Event == "pusher:ping" {
		got = decode(t, k.next(t)) // the app wants one after a second, which a busy host may take to subscribe
	}
	if got.Event != "pusher_internal:subscription_succeeded" || got.Channel != channel {
		t.Fatalf("subscribe to %s: received %s %s, want pusher_internal:subscription_succeeded", channel, got.Event, got.Data)
	}
	return got
}

// close closes the connection and waits for the server's close frame.
func (k *socket) close(t *testing.T) {
	t.Helper()
	if err := k.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// event is a decoded message.
type event struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	UserID  json.RawMessage `json:"user_id"`
}

func decode(t *testing.T, text string) event {
	t.Helper()
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("message %q: %v", text, err)
	}
	return e
}

// text returns data that is a JSON string.
func (e event) text(t *testing.T) string {
	t.Helper()
	var text string
	if err := json.Unmarshal(e.Data, &text); err != nil {
		t.Fatalf("data of %s is %s, want a string", e.Event, e.Data)
	}
	return text
}
