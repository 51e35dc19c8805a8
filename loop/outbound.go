package loop

// outbound is what waits to be written on the connections of one reactor: for
// each a list of frames in order, and the queue of connections that have any.
// Everything that waits for a connection leaves in one write, whichever
// channels it came from. Owned by the reactor.
type outbound struct {
	frames []queued // arena of list nodes; index 0 is unused, so 0 means none
	free   int32    // list of free nodes
	used   int      // nodes in lists

	dirty  []int32 // ring of connections to flush, oldest first
	first  int     // index of the oldest
	count  int     // connections in the ring
	popped uint64  // connections ever taken from the ring

	scratch []byte // frames gathered for one write
	arena   []byte // copies made by SendCopy, reused when no frame waits
}

// queued is a node of a connection's list. frame is shared and immutable.
type queued struct {
	frame []byte
	next  int32 // the oldest node, in the newest
	bytes int32 // in the newest node: of all frames of the list
}

// list is a connection's queue of frames: its newest node, from which the ring
// leads to the oldest. 0 means empty. It is 4 bytes because idle connections
// have one too.
type list int32

// bytes is the length of all frames of the list.
func (o *outbound) bytes(l list) int {
	if l == 0 {
		return 0
	}
	return int(o.frames[l].bytes)
}

func (o *outbound) push(l *list, frame []byte) {
	n := o.free
	if n != 0 {
		o.free = o.frames[n].next
	} else {
		if len(o.frames) == 0 {
			o.frames = append(o.frames, queued{})
		}
		n = int32(len(o.frames))
		o.frames = append(o.frames, queued{})
	}
	o.used++
	node := queued{frame: frame, next: n, bytes: int32(len(frame))}
	if *l != 0 {
		tail := &o.frames[*l]
		node.next = tail.next
		node.bytes += tail.bytes
		tail.next = n
	}
	o.frames[n] = node
	*l = list(n)
}

// gather empties the list and returns its frames as one piece, which is valid
// until the next call.
func (o *outbound) gather(l *list) []byte {
	tail := int32(*l)
	var out []byte
	if o.frames[tail].next == tail {
		out = o.frames[tail].frame // Fast path: nothing to copy.
	} else {
		o.scratch = o.scratch[:0]
		for n := o.frames[tail].next; ; n = o.frames[n].next {
			o.scratch = append(o.scratch, o.frames[n].frame...)
			if n == tail {
				break
			}
		}
		out = o.scratch
	}
	o.drop(l)
	return out
}

// drop empties the list.
func (o *outbound) drop(l *list) {
	tail := int32(*l)
	*l = 0
	for n := tail; n != 0; {
		next := o.frames[n].next
		o.frames[n] = queued{next: o.free}
		o.free = n
		o.used--
		if n = next; n == tail {
			return
		}
	}
}

// keep copies a frame to memory that stays until it is written.
func (o *outbound) keep(frame []byte) []byte {
	if o.used == 0 {
		o.arena = o.arena[:0]
	}
	if cap(o.arena)-len(o.arena) < len(frame) {
		// What still waits keeps the old arena alive.
		o.arena = make([]byte, 0, max(arenaBytes, len(frame)))
	}
	start := len(o.arena)
	o.arena = append(o.arena, frame...)
	return o.arena[start:len(o.arena):len(o.arena)]
}

// trim gives back what a burst made large.
func (o *outbound) trim() {
	if o.used > 0 || o.count > 0 {
		return
	}
	if len(o.frames) > keepNodes {
		o.frames, o.free = nil, 0
	}
	if len(o.dirty) > keepNodes {
		o.dirty, o.first = nil, 0
	}
	if cap(o.scratch) > 2*arenaBytes {
		o.scratch = nil
	}
	if cap(o.arena) > arenaBytes {
		o.arena = nil
	}
}

const (
	arenaBytes = 32 << 10
	keepNodes  = 4096
)

func (o *outbound) pushDirty(conn int32) {
	if o.count == len(o.dirty) {
		grown := make([]int32, max(64, 2*len(o.dirty)))
		n := copy(grown, o.dirty[o.first:])
		copy(grown[n:], o.dirty[:o.first])
		o.dirty, o.first = grown, 0
	}
	i := o.first + o.count
	if i >= len(o.dirty) {
		i -= len(o.dirty)
	}
	o.dirty[i] = conn
	o.count++
}

func (o *outbound) popDirty() int32 {
	conn := o.dirty[o.first]
	if o.first++; o.first == len(o.dirty) {
		o.first = 0
	}
	o.count--
	o.popped++
	return conn
}
