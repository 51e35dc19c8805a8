package channels

import (
	"slices"
	"testing"
)

// userEdge is what Tell was called with.
type userEdge struct {
	to  Interest
	seq uint64
}

func TestUsersComeAndGoOnceHoweverManyConnections(t *testing.T) {
	var edges []userEdge
	u := NewUsers(func(_ string, _ bool, to Interest, seq uint64) { edges = append(edges, userEdge{to, seq}) })
	expect := func(what string, interest Interest, want ...userEdge) {
		t.Helper()
		if !slices.Equal(edges, want) {
			t.Errorf("%s: edges %v, want %v", what, edges, want)
		}
		if got := u.Interest("ann"); got != interest {
			t.Errorf("%s: connections on %b, want %b", what, got, interest)
		}
		edges = nil
	}
	if w := u.Watch("ann", 0); w.Name != "ann" || w.Online || w.Since != 0 {
		t.Errorf("Watch = %+v, want ann, offline", w)
	}
	u.Watch("ann", 5)
	u.SignIn("ann", 1)
	expect("the first connection", 1<<1, userEdge{1<<0 | 1<<5, 1})
	u.SignIn("ann", 3)
	u.SignIn("ann", 3)
	expect("others", 1<<1|1<<3)
	if w := u.Watch("ann", 7); !w.Online || w.Since != 1 {
		t.Errorf("Watch = %+v, want online since 1", w)
	}
	u.SignOut("ann", 1, true)
	expect("the last of a reactor", 1<<3)
	u.SignOut("ann", 3, false)
	expect("one of two", 1<<3)
	u.Unwatch("ann", 5, true)
	u.Unwatch("ann", 7, false) // another one watches there
	u.SignOut("ann", 3, true)
	expect("the last of all", 0, userEdge{1<<0 | 1<<7, 2})
	u.SignOut("ann", 3, true)
	expect("one too many", 0)
}

func TestUsersForgetWhomNobodyKnows(t *testing.T) {
	u := NewUsers(func(string, bool, Interest, uint64) {})
	u.SignIn("ann", 0)
	u.Watch("ann", 0)
	u.SignOut("ann", 0, true)
	u.Watch("bob", 0)
	u.Unwatch("ann", 0, true)
	u.Unwatch("bob", 0, true)
	u.Unwatch("carol", 0, true)
	u.SignOut("carol", 0, true)
	for i := range u.stripes {
		if n := len(u.stripes[i].users); n > 0 {
			t.Errorf("%d users are kept in a stripe, want none", n)
		}
	}
}
