package e2e

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"syscall"
	"testing"
)

// stage is a server, the application beside it and a driver with stock clients.
type stage struct {
	*driver
	server      *server
	options     startOptions // of the server
	application *application
	auth        string // URL before /broadcasting/auth and /broadcasting/user-auth
}

// setStage starts a server and everything that its stock clients need.
func setStage(t *testing.T, o startOptions) *stage {
	t.Helper()
	needPackages(t)
	a := serveApplication(t, testApp)
	return &stage{server: start(t, o), options: o, application: a, auth: a.URL, driver: drive(t, "client.mjs")}
}

// setShieldedStage is setStage for clients that ask the server for authorization,
// and the server the application.
func setShieldedStage(t *testing.T, o startOptions) *stage {
	t.Helper()
	needPackages(t)
	a := serveApplication(t, testApp)
	env := shielded(a)
	maps.Copy(env, o.env)
	o.env = env
	s := start(t, o)
	return &stage{server: s, options: o, application: a, auth: s.url(""), driver: drive(t, "client.mjs")}
}

// shielded is the environment of a server that asks the application.
func shielded(a *application) map[string]string {
	return map[string]string{"RESOUND_APP_AUTH_UPSTREAM": a.URL + "/broadcasting/auth"}
}

// reusePort lets another server take a server's place.
var reusePort = map[string]string{"RESOUND_REUSE_PORT": "true"}

// replaceServer kills the server, which was started with reusePort, while another
// one listens on its port. Where nobody listens, clients wait 15 s.
func (s *stage) replaceServer(t *testing.T) {
	t.Helper()
	was, o := s.server, s.options
	o.args = was.samePort()
	s.server = start(t, o)
	was.signal(t, syscall.SIGKILL)
	was.wait(t)
}

// clientOptions are the options of Echo and pusher-js for the server.
func (s *stage) clientOptions() arguments {
	return arguments{
		"cluster":           "",
		"wsHost":            "127.0.0.1",
		"wsPort":            s.server.port,
		"wsPath":            s.server.path,
		"httpHost":          "127.0.0.1",
		"httpPort":          s.server.port,
		"forceTLS":          false,
		"enabledTransports": []string{"ws"},
		"authEndpoint":      s.auth + "/broadcasting/auth",
	}
}

// as are the options of a pusher-js that is used by a user.
func (s *stage) as(user string) arguments {
	headers := arguments{"Authorization": "Bearer " + user}
	return arguments{
		"auth":               arguments{"headers": headers},
		"userAuthentication": arguments{"endpoint": s.auth + "/broadcasting/user-auth", "headers": headers},
	}
}

// echo connects a laravel-echo as a user. The client's name is for the test.
func (s *stage) echo(t *testing.T, client, user string) {
	t.Helper()
	options := s.clientOptions()
	options["key"] = testApp.key
	options["bearerToken"] = user
	// Echo writes the token into its default headers, which all Echos of a process
	// share unless each brings its own.
	options["auth"] = arguments{"headers": arguments{}}
	s.do(t, "echo", arguments{"client": client, "options": options})
	s.expectState(t, client, "connected")
}

// pusher starts a pusher-js with more options, without waiting.
func (s *stage) pusher(t *testing.T, client, key string, more arguments) {
	t.Helper()
	options := s.clientOptions()
	maps.Copy(options, more)
	s.do(t, "pusher", arguments{"client": client, "key": key, "options": options})
}

// subscribe subscribes an Echo to a channel, given without the prefix of its
// kind, and waits until it is in. It listens for events "Happened" and whispers
// "typing".
func (s *stage) subscribe(t *testing.T, client, kind, channel string) {
	t.Helper()
	s.startSubscribe(t, client, kind, channel)
	s.expect(t, client, "subscribed", channel)
}

// startSubscribe is subscribe without waiting.
func (s *stage) startSubscribe(t *testing.T, client, kind, channel string) {
	t.Helper()
	s.do(t, "subscribe", arguments{
		"client": client, "kind": kind, "channel": channel,
		"listen": []string{".Happened"}, "whispers": []string{"typing"},
	})
}

// subscribeRaw subscribes a pusher-js to a channel and waits until it is in.
func (s *stage) subscribeRaw(t *testing.T, client, channel string) {
	t.Helper()
	s.do(t, "subscribeRaw", arguments{"client": client, "channel": channel})
	s.expectEvent(t, client, channel, "pusher:subscription_succeeded")
}

// expectEvent waits for an event of a channel.
func (s *stage) expectEvent(t *testing.T, client, channel, event string) happening {
	t.Helper()
	return s.expectWhere(t, client, "event", channel, func(h happening) bool { return h.Event == event })
}

// whisper sends a client event with Echo.
func (s *stage) whisper(t *testing.T, client, kind, channel string, data any) {
	t.Helper()
	s.do(t, "whisper", arguments{"client": client, "kind": kind, "channel": channel, "event": "typing", "data": data})
}

// backend makes a client of Pusher's server library for the test app.
func (s *stage) backend(t *testing.T) {
	t.Helper()
	s.do(t, "backend", arguments{"client": "backend", "options": arguments{
		// Like the PHP library with its option "path": the prefix is in the URL
		// and not signed.
		"host":                      s.server.address() + s.server.path,
		"useTLS":                    s.server.secure != nil,
		"appId":                     testApp.id,
		"key":                       testApp.key,
		"secret":                    testApp.secret,
		"encryptionMasterKeyBase64": base64.StdEncoding.EncodeToString([]byte(masterKey)),
	}})
}

// call calls a method of the server library and compares the answer as JSON.
func (s *stage) call(t *testing.T, want, method string, args ...any) {
	t.Helper()
	status, body := s.callRaw(t, method, args...)
	if status != 200 || !sameJSON(body, want) {
		t.Errorf("%s(%v) = %d %s, want 200 %s", method, args, status, body, want)
	}
}

// callRaw calls a method of the server library.
func (s *stage) callRaw(t *testing.T, method string, args ...any) (status int, body string) {
	t.Helper()
	value := s.do(t, "call", arguments{"client": "backend", "method": method, "args": args})
	var got struct {
		Status int    `json:"status"`
		Body   string `json:"body"`
	}
	if err := json.Unmarshal(value, &got); err != nil {
		t.Fatal(err)
	}
	return got.Status, got.Body
}

// socketID is the socket_id of a client.
func (s *stage) socketID(t *testing.T, client string) string {
	t.Helper()
	var id string
	if err := json.Unmarshal(s.do(t, "socketID", arguments{"client": client}), &id); err != nil || id == "" {
		t.Fatalf("socket_id of %s: %v", client, err)
	}
	return id
}
