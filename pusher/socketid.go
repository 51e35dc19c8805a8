package pusher

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// SocketID names a connection as Pusher does, "nonce.slot". The nonce is
// random, which makes the id worthless to guess; the slot says where the
// connection lives, so that an event's socket_id is found without an index.
// The zero value names no connection. Comparable.
//
//	slot: 6 bits reactor | 26 bits connection
//
// Pusher: socket ids match \A\d+\.\d+\z.
type SocketID struct {
	nonce uint64 // 1 .. 2^53-1, exact in a JavaScript number
	slot  uint32
}

const (
	slotConnBits = 26
	slotConnMask = 1<<slotConnBits - 1

	// MaxConnectionsPerReactor is what a socket id can tell apart.
	MaxConnectionsPerReactor = 1 << slotConnBits

	maxNonce = 1<<53 - 1
)

func newNonce() uint64 { return 1 + rand.Uint64N(maxNonce) }

func slotOf(reactor int, conn int32) uint32 {
	return uint32(reactor)<<slotConnBits | uint32(conn)
}

func (id SocketID) reactor() int { return int(id.slot >> slotConnBits) }
func (id SocketID) conn() int32  { return int32(id.slot & slotConnMask) }

// IsZero reports whether id names no connection.
func (id SocketID) IsZero() bool { return id == SocketID{} }

// Append appends the id's text to dst.
func (id SocketID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.nonce, 10)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, uint64(id.slot), 10)
}

func (id SocketID) String() string { return string(id.Append(nil)) }

// ParseSocketID reads the text of an id of this node. ok is false for anything
// this node cannot have given out, which then excludes nobody.
//
// Reverb: an unknown or malformed socket_id in a trigger is ignored.
func ParseSocketID(s string) (id SocketID, ok bool) {
	nonce, slot, found := strings.Cut(s, ".")
	if !found {
		return SocketID{}, false
	}
	n, err := strconv.ParseUint(nonce, 10, 64)
	if err != nil || n == 0 || n > maxNonce {
		return SocketID{}, false
	}
	sl, err := strconv.ParseUint(slot, 10, 32)
	if err != nil {
		return SocketID{}, false
	}
	return SocketID{nonce: n, slot: uint32(sl)}, true
}
