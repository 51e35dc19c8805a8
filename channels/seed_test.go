package channels

import (
	"fmt"
	"testing"
)

// TestChosenNamesSpreadOverStripes: names that share a stripe in one process share
// none in another, so that nobody can choose names that wait for one lock.
func TestChosenNamesSpreadOverStripes(t *testing.T) {
	one, other := NewDirectory(nil), NewDirectory(nil)
	users, otherUsers := NewUsers(nil), NewUsers(nil)
	spread := func(chosen func(name string) bool, stripe func(name string) any) (names int, stripes map[any]int) {
		stripes = map[any]int{}
		for i := 0; names < 200; i++ {
			if name := fmt.Sprint("name-", i); chosen(name) {
				names++
				stripes[stripe(name)]++
			}
		}
		return names, stripes
	}
	for _, row := range []struct {
		what   string
		chosen func(string) bool
		stripe func(string) any
	}{
		{"channels", func(s string) bool { return one.stripe(s) == &one.stripes[0] }, func(s string) any { return other.stripe(s) }},
		{"users", func(s string) bool { return users.stripe(s) == &users.stripes[0] }, func(s string) any { return otherUsers.stripe(s) }},
	} {
		names, stripes := spread(row.chosen, row.stripe)
		for _, n := range stripes {
			if n > names/2 { // of 16 stripes or more
				t.Errorf("%d of %d %s that share a stripe share one in another process too", n, names, row.what)
			}
		}
	}
}
