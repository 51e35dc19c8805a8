package loop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestOutboundGathersInOrder(t *testing.T) {
	var o outbound
	var a, b list
	for i := range 5 {
		o.push(&a, fmt.Append(nil, "a", i))
		o.push(&b, fmt.Append(nil, "b", i))
	}
	if o.bytes(a) != 10 || o.bytes(b) != 10 || o.used != 10 {
		t.Errorf("got %d and %d bytes in %d nodes, want 10, 10 and 10", o.bytes(a), o.bytes(b), o.used)
	}
	if got := string(o.gather(&a)); got != "a0a1a2a3a4" {
		t.Errorf("got %q", got)
	}
	if got := string(o.gather(&b)); got != "b0b1b2b3b4" {
		t.Errorf("got %q", got)
	}
	if a != 0 || b != 0 || o.used != 0 {
		t.Errorf("left are %+v, %+v and %d nodes, want none", a, b, o.used)
	}
}

func TestOutboundSharesASingleFrame(t *testing.T) {
	var o outbound
	var l list
	frame := []byte("frame")
	o.push(&l, frame)
	if got := o.gather(&l); &got[0] != &frame[0] {
		t.Error("the only frame was copied")
	}
}

func TestOutboundLetsGoOfFrames(t *testing.T) {
	var o outbound
	var l list
	for range 10 {
		o.push(&l, []byte("frame"))
	}
	o.drop(&l)
	for i, n := range o.frames {
		if n.frame != nil {
			t.Errorf("free node %d holds on to a frame", i)
		}
	}
}

func TestOutboundReusesNodes(t *testing.T) {
	var o outbound
	var l list
	for range 100 {
		for range 50 {
			o.push(&l, []byte("frame"))
		}
		o.gather(&l)
	}
	if got := len(o.frames); got != 51 {
		t.Errorf("got %d nodes for 50 frames at a time, want 51", got)
	}
}

func TestKeepReusesItsMemoryOnceAllIsWritten(t *testing.T) {
	var o outbound
	var l list
	first := o.keep([]byte("first"))
	o.push(&l, first)
	second := o.keep([]byte("second"))
	o.push(&l, second)
	if got := string(o.gather(&l)); got != "firstsecond" {
		t.Fatalf("got %q, want %q", got, "firstsecond")
	}
	third := o.keep([]byte("third"))
	if &third[0] != &first[0] {
		t.Error("memory was not reused though nothing waits")
	}
	if cap(third) != len(third) {
		t.Errorf("a kept frame may grow by %d bytes into its neighbour", cap(third)-len(third))
	}
}

func TestKeepLeavesWaitingFramesAlone(t *testing.T) {
	var o outbound
	var l list
	var want []byte
	for i := range 3 * arenaBytes / 1000 {
		frame := bytes.Repeat([]byte{byte(i)}, 1000)
		want = append(want, frame...)
		o.push(&l, o.keep(frame))
		clear(frame)
	}
	large := bytes.Repeat([]byte{0xff}, 2*arenaBytes)
	want = append(want, large...)
	o.push(&l, o.keep(large))
	if got := o.gather(&l); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want the %d kept ones", len(got), len(want))
	}
}

func TestTrim(t *testing.T) {
	burst := func() (*outbound, *list) {
		o, l := &outbound{}, new(list)
		for i := range keepNodes + 1 {
			o.push(l, o.keep(make([]byte, 100)))
			o.pushDirty(int32(i))
		}
		return o, l
	}
	large := func(o *outbound) bool {
		return len(o.frames) > keepNodes || len(o.dirty) > keepNodes || cap(o.scratch) > 2*arenaBytes || cap(o.arena) > arenaBytes
	}
	empty := func(o *outbound) {
		for o.count > 0 {
			o.popDirty()
		}
	}

	o, l := burst()
	o.trim()
	if got := len(o.gather(l)); got != 100*(keepNodes+1) {
		t.Errorf("%d bytes are left after a trim while they waited, want %d", got, 100*(keepNodes+1))
	}
	o.trim()
	if o.count != keepNodes+1 {
		t.Errorf("%d connections are left after a trim while they waited, want %d", o.count, keepNodes+1)
	}
	if !large(o) {
		t.Fatal("the burst was too small to tell anything")
	}
	empty(o)
	o.trim()
	if large(o) {
		t.Errorf("%d nodes, %d places in the queue, %d and %d bytes are kept", len(o.frames), len(o.dirty), cap(o.scratch), cap(o.arena))
	}

	o.push(l, []byte("after"))
	o.pushDirty(7)
	if got := string(o.gather(l)); got != "after" || o.popDirty() != 7 {
		t.Errorf("got %q after a trim, want %q", got, "after")
	}
}

func TestDirtyRingGrowsWhileWrapped(t *testing.T) {
	var o outbound
	var want []int32
	next := int32(0)
	for round := range 20 {
		for range 10 * (round + 1) {
			o.pushDirty(next)
			want = append(want, next)
			next++
		}
		for range 7 * (round + 1) {
			if got := o.popDirty(); got != want[0] {
				t.Fatalf("round %d: got %d, want %d", round, got, want[0])
			}
			want = want[1:]
		}
	}
	for len(want) > 0 {
		if got := o.popDirty(); got != want[0] {
			t.Fatalf("got %d, want %d", got, want[0])
		}
		want = want[1:]
	}
	if o.count != 0 {
		t.Errorf("%d are left", o.count)
	}
}

// TestOutboundAgainstModel does what reactors do at random, beside plain slices.
func TestOutboundAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var o outbound
	lists := make([]list, 20)
	model := make([][]byte, len(lists))
	nodes := make([]int, len(lists))
	var dirty []int32
	for step := range 100_000 {
		i := rnd.IntN(len(lists))
		switch n := rnd.IntN(10); {
		case n < 6:
			frame := bytes.Repeat([]byte{byte(step)}, rnd.IntN(200))
			model[i] = append(model[i], frame...)
			nodes[i]++
			if n < 3 {
				o.push(&lists[i], o.keep(frame))
				clear(frame)
			} else {
				o.push(&lists[i], frame)
			}
			o.pushDirty(int32(i))
			dirty = append(dirty, int32(i))
		case n < 8 && lists[i] != 0:
			if got := o.gather(&lists[i]); !bytes.Equal(got, model[i]) {
				t.Fatalf("step %d: got %d bytes of list %d, want %d", step, len(got), i, len(model[i]))
			}
			model[i], nodes[i] = nil, 0
		case n == 8:
			o.drop(&lists[i])
			model[i], nodes[i] = nil, 0
		case len(dirty) > 0:
			if got := o.popDirty(); got != dirty[0] {
				t.Fatalf("step %d: got connection %d, want %d", step, got, dirty[0])
			}
			dirty = dirty[1:]
			o.trim()
		}
		used := 0
		for _, n := range nodes {
			used += n
		}
		if o.used != used || o.count != len(dirty) || int(o.bytes(lists[i])) != len(model[i]) {
			t.Fatalf("step %d: got %d nodes, %d dirty, %d bytes; want %d, %d, %d", step, o.used, o.count, o.bytes(lists[i]), used, len(dirty), len(model[i]))
		}
		if (lists[i] == 0) != (nodes[i] == 0) {
			t.Fatalf("step %d: list %d of %d nodes has head %d", step, i, nodes[i], lists[i])
		}
	}
}
