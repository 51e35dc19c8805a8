package wire

import "testing"

func TestMembers(t *testing.T) {
	t.Run("member events are told apart and read without parsing", func(t *testing.T) {
		for _, want := range []MemberEvent{{1, true}, {0xFEDCBA98, false}} {
			if got, ok := ReadMemberEvent(AppendMemberEvent(nil, "presence-x", want)); !ok || got != want {
				t.Errorf("got %+v %v, want %+v", got, ok, want)
			}
		}
		for _, other := range []string{"", `{"event":"pusher:ping"}`, `{"event":"pusher_internal:member_added","data":"{}"}`, `"pusher_internal:member_added" ~ru~0000`} {
			if got, ok := ReadMemberEvent([]byte(other)); ok {
				t.Errorf("got %+v of %q, want none", got, other)
			}
		}
	})
	t.Run("ids in a list are read one after the other", func(t *testing.T) {
		list := append(AppendUserID(AppendUserID([]byte(`["`), 7), 8), `"]`...)
		first, rest, ok1 := ReadUserID(list)
		second, rest, ok2 := ReadUserID(rest)
		_, _, ok3 := ReadUserID(rest)
		if first != 7 || second != 8 || !ok1 || !ok2 || ok3 {
			t.Errorf("got %d %v, %d %v, %v, want 7, 8 and no more", first, ok1, second, ok2, ok3)
		}
	})
	t.Run("the socket id is read whether data is an object or a text", func(t *testing.T) {
		for _, payload := range []string{
			string(AppendEstablished(nil, "12.34")),
			`{"event":"pusher:connection_established","data":{"activity_timeout":1,"socket_id":"12.34"}}`,
		} {
			if got, ok := SocketID([]byte(payload)); !ok || got != "12.34" {
				t.Errorf("got %q %v of %s, want 12.34", got, ok, payload)
			}
		}
		if got, ok := SocketID([]byte(`{"socket_id":""}`)); ok {
			t.Errorf("got %q, want none", got)
		}
	})
	// Pusher: "Generating authentication signatures"; the signature was computed by
	// openssl dgst -sha256 -hmac over the text in the comment.
	t.Run("a member is signed with the channel and the user", func(t *testing.T) {
		a := App{ID: "1", Key: "key", Secret: "secret"}
		// 1.2:presence-x:{"user_id":"~ru~00000007~"}
		want := `{"event":"pusher:subscribe","data":{"channel":"presence-x","auth":"key:8228c1c88a08d0a73a6a693e7cdbde4b3502c342e5378c5ca9d1de7a961c0db4","channel_data":"{\"user_id\":\"~ru~00000007~\"}"}}`
		if got := string(a.AppendSubscribeAs(nil, "presence-x", "1.2", 7)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestSeen(t *testing.T) {
	var s Sequence
	for _, number := range []uint32{1, 3} {
		s.Observe(number)
	}
	for number, want := range map[uint32]bool{1: true, 2: false, 3: true, 4: false} {
		if got := s.Seen(number); got != want {
			t.Errorf("got %v for number %d, want %v", got, number, want)
		}
	}
	s.Observe(100)
	if !s.Seen(2) {
		t.Error("got a number too old to know as not received, want received")
	}
}
