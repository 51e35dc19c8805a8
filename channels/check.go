package channels

import "fmt"

// check panics unless both directions of the subscriptions of conn agree: each
// of its refs points at an entry of the channel that points back.
func (r *Registry) check(conn int32) {
	subs := r.side(conn)
	for i := range int32(subs.Len()) {
		at := subs.at(i)
		c := r.channels.At(at.channel - 1)
		switch {
		case r.byName[c.name] != at.channel-1:
			panic(fmt.Sprintf("connection %d subscribes to %q, which is not known by its name", conn, c.name))
		case c.entries[at.pos] != entry{conn: conn, at: i}:
			panic(fmt.Sprintf("subscription %d of connection %d is entry %+v of %q", i, conn, c.entries[at.pos], c.name))
		case c.since != nil && len(c.since) != len(c.entries):
			panic(fmt.Sprintf("%q has %d entries and %d numbers", c.name, len(c.entries), len(c.since)))
		case subs.find(at.channel) != i:
			panic(fmt.Sprintf("subscription %d of connection %d is found at %d", i, conn, subs.find(at.channel)))
		}
	}
}
