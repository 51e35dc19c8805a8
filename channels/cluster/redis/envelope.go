package redis

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"resound/channels/cluster"
)

// A message on the bus. A field is its length in 4 bytes, big endian, and bytes.
// A cid is the fields topic, app, name; an origin is 16 digits of the node and
// the 8 bytes of the number that the node gave the publication in its bucket.
//
//	+----+---+------+-----+--------+-----------------------------------------------+
//	|'rs'| 1 | kind | cid | origin | P: except, payload                            |
//	|    |   |      |     |        | C: number of the count, payload               |
//	|    |   |      |     |        | K: seq, except, name, data, ms kept, payload  |
//	|    |   |      |     |        | F: the same, of what is not kept, nor anything|
//	+----+---+------+-----+--------+-----------------------------------------------+
//	|'rs'| 1 | 'E'  | cid | edge kind (1 byte), seq, user, member                  |
//	+----+---+------+-----+--------------------------------------------------------+
//	|'rs'| 1 | 'T'  | node (16 digits), app, user                                  |
//	+----+---+------+--------------------------------------------------------------+
//
// What common.lua and keep.lua write is the same. A member is the fields IDJSON
// and Info. A seq is decimal, as Lua has no 64-bit numbers.
const (
	magic   = "rs"
	version = 1

	kindPlain     = 'P'
	kindForget    = 'F'
	kindCount     = 'C'
	kindKept      = 'K'
	kindEdge      = 'E'
	kindTerminate = 'T'

	nodeDigits   = 16
	envelopeSize = 256 // of an envelope, beside its message
	originBytes  = nodeDigits + 8
)

var errJunk = errors.New("not a message of this version")

// envelope is a decoded message. Its strings are parts of the message.
type envelope struct {
	kind    byte
	bytes   int // that it takes, with its message
	channel cluster.Channel
	node    string // publisher; empty for edges
	number  uint64
	seq     uint64
	counted uint64
	except  string
	name    string
	data    string
	keep    time.Duration
	payload string
	edge    cluster.EdgeKind
	member  cluster.Member
	user    string // Terminate
}

// reader takes fields off a message; short turns true when there are too few.
type reader struct {
	rest  string
	short bool
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.short, r.rest = true, ""
		return ""
	}
	head := r.rest[:n]
	r.rest = r.rest[n:]
	return head
}

// number reads four bytes; 0 when there are none.
func (r *reader) number() uint32 {
	head := r.take(4)
	if r.short {
		return 0
	}
	return uint32(head[0])<<24 | uint32(head[1])<<16 | uint32(head[2])<<8 | uint32(head[3])
}

func (r *reader) field() string {
	n := r.number()
	if uint64(n) > uint64(len(r.rest)) {
		r.short, r.rest = true, ""
		return ""
	}
	return r.take(int(n))
}

func (r *reader) decimal() uint64 {
	n, err := strconv.ParseUint(r.field(), 10, 63)
	if err != nil {
		r.short = true
	}
	return n
}

func (r *reader) cid() (topic uint32, c cluster.Channel) {
	t, err := strconv.ParseUint(r.field(), 10, 32)
	if err != nil {
		r.short = true
	}
	c.App, c.Name = r.field(), r.field()
	return uint32(t), c
}

func (r *reader) origin() (node string, number uint64) {
	node = r.take(nodeDigits)
	if tail := r.take(8); !r.short {
		number = binary.BigEndian.Uint64([]byte(tail))
	}
	return node, number
}

// decode reads a message. topic is 0 for Terminate.
func decode(message string) (e envelope, topic uint32, err error) {
	r := reader{rest: message}
	if head := r.take(4); r.short || head[:2] != magic || head[2] != version {
		return envelope{}, 0, errJunk
	}
	e.kind, e.bytes = message[3], envelopeSize+len(message)
	switch e.kind {
	case kindPlain:
		topic, e.channel = r.cid()
		e.node, e.number = r.origin()
		e.except, e.payload = r.field(), r.field()
	case kindCount:
		topic, e.channel = r.cid()
		e.node, e.number = r.origin()
		e.counted, e.payload = r.decimal(), r.field()
	case kindKept, kindForget:
		topic, e.channel = r.cid()
		if e.readKept(&r); e.kind == kindForget {
			e.keep = 0
		}
	case kindEdge:
		topic, e.channel = r.cid()
		if kind := r.take(1); !r.short {
			e.edge = cluster.EdgeKind(kind[0])
		}
		e.seq = r.decimal()
		user := r.field()
		e.member = readMember(user, r.field())
		if e.edge < cluster.Occupied || e.edge > cluster.MemberRemoved {
			r.short = true
		}
	case kindTerminate:
		e.node = r.take(nodeDigits)
		e.channel.App, e.user = r.field(), r.field()
	default:
		r.short = true
	}
	if r.short || r.rest != "" {
		return envelope{}, 0, errJunk
	}
	return e, topic, nil
}

// readKept reads what follows the cid of a kept publication, which is also what
// is kept.
func (e *envelope) readKept(r *reader) {
	e.node, e.number = r.origin()
	e.seq = r.decimal()
	e.except, e.name, e.data = r.field(), r.field(), r.field()
	e.keep, e.payload = time.Duration(r.decimal())*time.Millisecond, r.field()
}

func (e *envelope) publication() cluster.Publication {
	return cluster.Publication{
		Channel: e.channel,
		Payload: []byte(e.payload),
		Except:  e.except,
		Keep:    e.keep,
		Name:    e.name,
		Data:    e.data,
		Counted: e.counted,
		Forget:  e.kind == kindForget,
		Seq:     e.seq,
	}
}

func appendHeader(dst []byte, kind byte) []byte {
	return append(dst, magic[0], magic[1], version, kind)
}

func appendOrigin(dst []byte, node string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, node...), number)
}

// appendKeptTail appends what follows the seq of p, which is kept for that many
// milliseconds.
func appendKeptTail(dst []byte, p *cluster.Publication, left uint64) []byte {
	dst = appendField(dst, p.Except)
	dst = appendField(dst, p.Name)
	dst = appendField(dst, p.Data)
	dst = appendField(dst, decimal(left))
	return appendField(dst, p.Payload)
}

// keptMilliseconds is how long until that is, at least the millisecond that is the
// least for Redis.
func keptMilliseconds(until time.Time) uint64 {
	return uint64(max(time.Until(until).Milliseconds(), 1))
}

func memberBytes(m cluster.Member) string {
	return string(appendField(appendField(make([]byte, 0, 8+len(m.IDJSON)+len(m.Info)), m.IDJSON), m.Info))
}

// readMember is the inverse of memberBytes; edges about channels have neither
// user nor member.
func readMember(user, member string) cluster.Member {
	r := reader{rest: member}
	m := cluster.Member{ID: user}
	if member != "" {
		m.IDJSON, m.Info = r.field(), r.field()
	}
	return m
}
