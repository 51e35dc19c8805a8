package e2e

import "testing"

// The tests of this file look at frames: pusher-js ignores a join or a leave
// that comes a second time.

func TestPresenceTellsEachJoinAndLeaveOnce(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	ann, firstTab, secondTab := open(t, s), open(t, s), open(t, s)
	// mark sends an event, behind which nothing that came before it can be.
	mark := func(t *testing.T, sockets ...*socket) {
		t.Helper()
		s.api().trigger(t, "presence-room", "Mark", "{}")
		for _, k := range sockets {
			k.expectEvent(t, "Mark", "presence-room", "{}")
		}
	}
	bob := `{"user_id":"bob"}`

	steps := []struct {
		name string
		step func(t *testing.T)
	}{
		{"a user that joins is told once, to the others", func(t *testing.T) {
			ann.join(t, "presence-room", memberOf("ann"))
			firstTab.join(t, "presence-room", memberOf("bob"))
			ann.expectEvent(t, added, "presence-room", memberOf("bob"))
			mark(t, ann, firstTab)
		}},
		{"a second connection of a user is not told", func(t *testing.T) {
			secondTab.join(t, "presence-room", memberOf("bob"))
			mark(t, ann, firstTab, secondTab)
		}},
		{"joining again is answered and not told", func(t *testing.T) {
			secondTab.join(t, "presence-room", memberOf("bob"))
			mark(t, ann, firstTab, secondTab)
		}},
		{"a user stays while it has a connection", func(t *testing.T) {
			firstTab.send(t, `{"event":"pusher:unsubscribe","data":{"channel":"presence-room"}}`)
			firstTab.send(t, `{"event":"pusher:ping"}`)
			firstTab.expect(t, `{"event":"pusher:pong"}`)
			mark(t, ann, secondTab)
		}},
		{"a user that leaves by its last connection is told once", func(t *testing.T) {
			secondTab.close(t)
			ann.expectEvent(t, removed, "presence-room", bob)
			mark(t, ann)
		}},
		{"a user that comes back is told again", func(t *testing.T) {
			firstTab.join(t, "presence-room", memberOf("bob"))
			ann.expectEvent(t, added, "presence-room", memberOf("bob"))
			mark(t, ann, firstTab)
		}},
		{"a connection that becomes another user leaves and joins", func(t *testing.T) {
			firstTab.join(t, "presence-room", memberOf("carol"))
			ann.expectEvent(t, removed, "presence-room", bob)
			ann.expectEvent(t, added, "presence-room", memberOf("carol"))
			mark(t, ann, firstTab)
			s.api().expect(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"},{"id":"carol"}]}`)
		}},
		{"a user that is cut off leaves too", func(t *testing.T) {
			if err := firstTab.conn.CloseNow(); err != nil {
				t.Fatal(err)
			}
			ann.expectEvent(t, removed, "presence-room", `{"user_id":"carol"}`)
			mark(t, ann)
		}},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.step) {
			return // the next one stands on this one
		}
	}
}
