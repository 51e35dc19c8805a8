package e2e

import "testing"

// signIn connects a pusher-js as a user and signs it in.
func (s *stage) signIn(t *testing.T, client, user string) {
	t.Helper()
	s.pusher(t, client, testApp.key, s.as(user))
	s.do(t, "signin", arguments{"client": client})
	s.expectFrame(t, client, "pusher:signin_success")
}

// expectUserEvent waits for an event that was sent to the user of a client.
func (s *stage) expectUserEvent(t *testing.T, client, event, want string) {
	t.Helper()
	h := s.expectWhere(t, client, "user_event", "", func(h happening) bool { return h.Event == event })
	if !sameJSON(string(h.Value), want) {
		t.Errorf("%s: user event %s is %s, want %s", client, event, h.Value, want)
	}
}

func TestPusherJSGetsWhatIsSentToItsUser(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	s.signIn(t, "ann's first tab", "ann")
	s.signIn(t, "ann's second tab", "ann")
	s.signIn(t, "bob", "bob")
	if got := s.do(t, "userData", arguments{"client": "bob"}); !sameJSON(string(got), userOf("bob")) {
		t.Errorf("user data %s, want %s", got, userOf("bob"))
	}

	s.call(t, `{}`, "sendToUser", "ann", "Paid", map[string]any{"order": 7})
	s.call(t, `{}`, "sendToUser", "bob", "Marked", "behind it")
	s.expectUserEvent(t, "ann's first tab", "Paid", `{"order":7}`)
	s.expectUserEvent(t, "ann's second tab", "Paid", `{"order":7}`)
	s.expectUserEvent(t, "bob", "Marked", `"behind it"`)
	if n := s.count("bob", "user_event", ""); n != 1 {
		t.Errorf("bob got %d events, want the one sent to bob:\n%s", n, s.history("bob"))
	}
	// The channels of users are nobody else's business.
	s.call(t, `{"channels":{}}`, "get", map[string]any{"path": "/channels"})

	// pusher-js signs in again by itself.
	s.do(t, "disconnect", arguments{"client": "bob"})
	s.do(t, "connect", arguments{"client": "bob"})
	s.expectFrame(t, "bob", "pusher:signin_success")
	s.call(t, `{}`, "sendToUser", "bob", "Marked", "again")
	s.expectUserEvent(t, "bob", "Marked", `"again"`)
}

func TestPusherJSIsNotSignedInWithoutProof(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	for _, user := range []string{forger, stranger} {
		t.Run("with the signature of a "+user, func(t *testing.T) {
			s.pusher(t, user, testApp.key, s.as(user))
			s.do(t, "signin", arguments{"client": user})
			h := s.expect(t, user, "connection_error", "")
			if !contains(h, `"code":4009`) || !contains(h, "Connection is unauthorized") {
				t.Errorf("error %s, want 4009 Connection is unauthorized", h.Value)
			}
			// The connection goes on, and is nobody's.
			s.call(t, `{}`, "sendToUser", user, "Secret", "for the user alone")
			s.subscribeRaw(t, user, "news")
			s.call(t, `{}`, "trigger", "news", "Marked", "behind it")
			s.expectEvent(t, user, "news", "Marked")
			if n := s.count(user, "user_event", ""); n != 0 {
				t.Errorf("%d events of the user, want 0", n)
			}
		})
	}
	t.Run("when the application refuses", func(t *testing.T) {
		s.pusher(t, banned, testApp.key, s.as(banned))
		s.do(t, "signin", arguments{"client": banned})
		h := s.expectWhere(t, banned, "user_event", "", func(h happening) bool { return h.Event == "pusher:signin_error" })
		if !contains(h, `"status":403`) {
			t.Errorf("pusher:signin_error %s, want status 403", h.Value)
		}
	})
}

func TestTheChannelOfAUserIsClosedToOthers(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	ann, bob := open(t, s), open(t, s)
	signIn := func(k *socket, user string) {
		k.send(t, `{"event":"pusher:signin","data":{"auth":`+quote(k.app.key+":"+sign(k.app.secret, k.id+"::user::"+userOf(user)))+`,"user_data":`+quote(userOf(user))+`}}`)
	}
	bob.subscribe(t, "#server-to-user-ann")
	bob.expectRefused(t, "#server-to-user-ann")
	signIn(bob, "bob")
	bob.expect(t, `{"event":"pusher:signin_success","data":{"user_data":`+quote(userOf("bob"))+`}}`)
	bob.subscribe(t, "#server-to-user-ann")
	bob.expectRefused(t, "#server-to-user-ann")

	signIn(ann, "ann")
	ann.expect(t, `{"event":"pusher:signin_success","data":{"user_data":`+quote(userOf("ann"))+`}}`)
	s.api().trigger(t, "#server-to-user-ann", "Paid", `{"order":7}`)
	ann.expect(t, `{"event":"Paid","channel":"#server-to-user-ann","data":"{\"order\":7}"}`)
	s.api().trigger(t, "#server-to-user-bob", "Marked", `{}`)
	bob.expect(t, `{"event":"Marked","channel":"#server-to-user-bob","data":"{}"}`)
}

func TestPusherJSJoinsAsTheSignedInUser(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.signIn(t, "bob", "bob")
	s.subscribeRaw(t, "bob", staffRoom)

	// pusher-js waits for the sign-in that is under way, then subscribes.
	s.pusher(t, "ann", testApp.key, s.as("ann"))
	s.do(t, "signin", arguments{"client": "ann"})
	s.do(t, "subscribeRaw", arguments{"client": "ann", "channel": staffRoom})
	joined := s.expectEvent(t, "ann", staffRoom, "pusher:subscription_succeeded")
	want := `{"members":{"ann":{"name":"ann"},"bob":{"name":"bob"}},"count":2,"myID":"ann","me":{"id":"ann","info":{"name":"ann"}}}`
	if !sameJSON(string(joined.Value), want) {
		t.Errorf("members %s, want %s", joined.Value, want)
	}
	if h := s.expectEvent(t, "bob", staffRoom, "pusher:member_added"); !sameJSON(string(h.Value), `{"id":"ann","info":{"name":"ann"}}`) {
		t.Errorf("member added %s, want ann", h.Value)
	}
	s.server.api().expect(t, "/channels/"+staffRoom, "user_count", `{"occupied":true,"user_count":2}`)

	// A client event carries the id of the sign-in.
	s.do(t, "triggerRaw", arguments{"client": "ann", "channel": staffRoom, "event": "client-typing", "data": arguments{}})
	frame := s.expectWhere(t, "bob", "frame", staffRoom, func(h happening) bool { return contains(h, `"client-typing"`) })
	if string(frame.User) != `"ann"` {
		t.Errorf("user_id %s, want \"ann\"", frame.User)
	}
	s.do(t, "disconnect", arguments{"client": "ann"})
	s.expectEvent(t, "bob", staffRoom, "pusher:member_removed")
}

func TestBackendTerminatesTheConnectionsOfASignedInUser(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	tabs := []string{"bob's first tab", "bob's second tab"}
	for _, tab := range tabs {
		s.signIn(t, tab, "bob")
	}
	s.signIn(t, "ann", "ann")
	s.call(t, `{}`, "terminateUserConnections", "bob")
	for _, tab := range tabs {
		h := s.expect(t, tab, "connection_error", "")
		if !contains(h, `"code":4009`) {
			t.Errorf("%s: error %s, want 4009", tab, h.Value)
		}
		s.expectState(t, tab, "disconnected")
	}
	s.server.api().eventually(t, "/connections", "", `{"connections":1}`)
	s.call(t, `{}`, "sendToUser", "ann", "Marked", "still here")
	s.expectUserEvent(t, "ann", "Marked", `"still here"`)
}

func TestPusherJSMustShowWhoItIsInTime(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"RESOUND_APP_AUTHORIZED_CONNECTIONS_TIMEOUT": "6"}})
	s.signIn(t, "user", "ann")
	s.pusher(t, "subscriber", testApp.key, s.as("bob"))
	s.subscribeRaw(t, "subscriber", "private-orders")
	// The last one to come is the last one whose time is up.
	s.pusher(t, "guest", testApp.key, nil)
	s.subscribeRaw(t, "guest", "news")
	if h := s.expect(t, "guest", "connection_error", ""); !contains(h, `"code":4009`) {
		t.Errorf("error %s, want 4009", h.Value)
	}
	s.expectState(t, "guest", "disconnected")
	s.server.api().eventually(t, "/connections", "", `{"connections":2}`)
}

func TestPusherJSWatchesOtherUsers(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"RESOUND_APP_WATCHLIST": "true"}})
	s.backend(t)
	seen := 0
	// expectSeen compares what ann's first tab has seen since it was last called.
	expectSeen := func(want ...string) {
		t.Helper()
		s.call(t, `{}`, "sendToUser", "ann", "Marked", "behind it")
		s.expectUserEvent(t, "ann", "Marked", `"behind it"`)
		for _, w := range want {
			if h := s.expect(t, "ann", "watchlist", ""); !sameJSON(string(h.Value), w) {
				t.Errorf("ann saw %s, want %s", h.Value, w)
			}
		}
		seen += len(want)
		if n := s.count("ann", "watchlist", ""); n != seen {
			t.Fatalf("ann saw %d changes, want %d:\n%s", n, seen, s.history("ann"))
		}
	}

	s.signIn(t, "ann", "ann")
	expectSeen(`{"name":"offline","user_ids":["bob","carol"]}`)
	s.signIn(t, "bob's first tab", "bob")
	expectSeen(`{"name":"online","user_ids":["bob"]}`)
	s.signIn(t, "bob's second tab", "bob")
	s.signIn(t, "dave", "dave")
	expectSeen() // one edge for all tabs, and none of a user who is not on the list

	s.signIn(t, "ann's second tab", "ann")
	s.expectValue(t, "ann's second tab", "watchlist", "", `{"name":"online","user_ids":["bob"]}`)
	s.expectValue(t, "ann's second tab", "watchlist", "", `{"name":"offline","user_ids":["carol"]}`)
	expectSeen()

	s.do(t, "disconnect", arguments{"client": "bob's first tab"})
	s.server.api().eventually(t, "/connections", "", `{"connections":4}`)
	expectSeen()
	s.do(t, "disconnect", arguments{"client": "bob's second tab"})
	s.server.api().eventually(t, "/connections", "", `{"connections":3}`)
	expectSeen(`{"name":"offline","user_ids":["bob"]}`)
	s.expectValue(t, "ann's second tab", "watchlist", "", `{"name":"offline","user_ids":["bob"]}`)
	if n := s.count("dave", "watchlist", ""); n != 0 {
		t.Errorf("dave, who watches nobody, saw %d changes:\n%s", n, s.history("dave"))
	}
}

func TestPusherJSLearnsThatItsWatchlistIsTooLong(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"RESOUND_APP_WATCHLIST": "true", "RESOUND_APP_MAX_WATCHLIST": "1"}})
	s.signIn(t, "ann", "ann")
	if h := s.expect(t, "ann", "connection_error", ""); !contains(h, `"code":4302`) || !contains(h, "bob") {
		t.Errorf("error %s, want 4302 that names bob", h.Value)
	}
	s.expectValue(t, "ann", "watchlist", "", `{"name":"offline","user_ids":["bob"]}`)
	s.signIn(t, "carol", "carol")
	s.signIn(t, "bob", "bob")
	s.expectValue(t, "ann", "watchlist", "", `{"name":"online","user_ids":["bob"]}`)
}

func TestPusherJSHasNoWatchlistUnlessTheAppWants(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	s.signIn(t, "ann", "ann")
	s.signIn(t, "bob", "bob")
	s.call(t, `{}`, "sendToUser", "ann", "Marked", "behind it")
	s.expectUserEvent(t, "ann", "Marked", `"behind it"`)
	if n := s.count("ann", "watchlist", ""); n != 0 {
		t.Errorf("ann saw %d changes, want 0", n)
	}
}
