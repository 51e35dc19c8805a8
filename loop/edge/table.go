package edge

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// maxBegun is how many addresses a Table remembers of one second. Who has more
// than that begins anew within the second, and needs no such help.
const maxBegun = 1 << 16

// politeFactor is how many times its limits an address may go to be told that it
// is above them; beyond, it costs no more than the accept.
const politeFactor = 2

// Key stands for an address as limits see it: an IPv4 address, or the /64 of an
// IPv6 address, which is what one subscriber gets. 0 is no address.
type Key uint64

// KeyOf returns the key of an address.
func KeyOf(a netip.Addr) Key {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		// Above the /64s of multicast, from where nobody connects.
		return Key(0xffff_ffff<<32 | uint64(binary.BigEndian.Uint32(b[:])))
	}
	b := a.As16()
	return Key(binary.BigEndian.Uint64(b[:]))
}

// Limits are those of one address. Zero means none.
type Limits struct {
	Connections         int
	HandshakesPerSecond int
}

// Verdict is what becomes of a new connection.
type Verdict uint8

// The verdicts.
const (
	Admitted Verdict = iota
	TellOff          // the address has too many; there is room to tell it
	Refused          // there is not
)

// Table counts the connections of each address. The zero value is ready. Safe for
// concurrent use.
type Table struct {
	mu     sync.Mutex
	open   map[Key]int
	begun  map[Key]int // connections that began in this second
	second uint32
}

// Enter decides about a new connection of an address. second is the time. When
// held is true the connection counts until Leave is called for it.
func (t *Table) Enter(k Key, l Limits, second uint32) (v Verdict, held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.HandshakesPerSecond > 0 {
		v = verdict(t.begin(k, second), l.HandshakesPerSecond)
	}
	if l.Connections > 0 && v != Refused {
		v = max(v, verdict(t.open[k]+1, l.Connections))
		if held = v != Refused; held {
			if t.open == nil {
				t.open = make(map[Key]int)
			}
			t.open[k]++
		}
	}
	return v, held
}

func verdict(n, limit int) Verdict {
	switch {
	case n <= limit:
		return Admitted
	case n <= politeFactor*limit:
		return TellOff
	}
	return Refused
}

// begin counts a connection of this second.
func (t *Table) begin(k Key, second uint32) int {
	if t.second != second || len(t.begun) >= maxBegun || t.begun == nil {
		t.second, t.begun = second, make(map[Key]int)
	}
	t.begun[k]++
	return t.begun[k]
}

// Leave ends what Enter held.
func (t *Table) Leave(k Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[k]--; t.open[k] <= 0 {
		delete(t.open, k)
	}
}

// Addresses is how many addresses have a connection.
func (t *Table) Addresses() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}
