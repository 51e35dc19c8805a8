package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"resound/channels/cluster"
)

// teller notes the order of what it is told.
type teller struct {
	*listener
	heard []string
}

func (t *teller) Deliver(p cluster.Publication, _ bool) {
	t.heard = append(t.heard, "deliver "+string(p.Payload))
}

func (t *teller) Watched(_ cluster.Channel, s *cluster.Snapshot) {
	if s == nil {
		t.heard = append(t.heard, "watched")
	} else {
		t.heard = append(t.heard, fmt.Sprint("watched ", s.Seq))
	}
}
func (t *teller) Edge(e cluster.Edge) { t.heard = append(t.heard, fmt.Sprint("edge ", e.Seq)) }

// TestWhatArrivesWhileASnapshotIsRead plays what the bus and the scripts do to one
// channel: begin, gap (messages may have been missed), edge and kept with their
// numbers, forget too (a publication that is not kept), plain, answer with its number, read (a snapshot of that number), live
// (no snapshot), unwatch, again (the node begins to state everything again).
func TestWhatArrivesWhileASnapshotIsRead(t *testing.T) {
	for _, test := range []struct{ name, played, want string }{
		{
			"what the snapshot knows is not told, the rest after it",
			"begin,edge 5,plain,edge 6,kept 7,read 6", "watched 6,deliver plain,deliver kept 7",
		},
		{
			"what is told already is told ahead of another snapshot",
			"begin,read 4,begin,edge 5,plain,edge 6,read 5", "watched 4,edge 5,deliver plain,watched 5,edge 6",
		},
		{
			"after a gap the snapshot comes first",
			"begin,read 4,edge 5,gap,edge 9,plain,read 9,edge 10", "watched 4,edge 5,watched 9,deliver plain,edge 10",
		},
		{
			"an answer waits for the edge of its number",
			"begin,read 4,answer 5,answer 4,edge 5", "watched 4,edge 5,answer 5,answer 4",
		},
		{
			"an answer waits for the snapshot",
			"begin,answer 5,edge 6,read 5", "watched 5,answer 5,edge 6",
		},
		{
			"an answer does not wait when nobody follows",
			"answer 5", "answer 5",
		},
		{
			"unwatch tells what waits",
			"begin,answer 5,unwatch,edge 5,plain", "answer 5",
		},
		{
			"without a snapshot everything is told after the subscription",
			"beginlive,plain,edge 5,live,edge 6", "watched,deliver plain,edge 5,edge 6",
		},
		{
			"after a gap publications are told, the last one too",
			"begin,read 4,gap,plain,kept 7,edge 8,plain,read 8", "watched 4,deliver plain,deliver kept 7,watched 8,deliver plain",
		},
		{
			"what comes while the node states everything again is told, edges by the snapshot",
			"begin,read 4,again,plain,kept 5,edge 6,begin,kept 7,edge 8,plain,read 8",
			"watched 4,deliver plain,deliver kept 5,deliver kept 7,watched 8,deliver plain",
		},
		{
			"what was held back is told when the node states everything again",
			"begin,read 4,gap,plain,kept 7,edge 8,again", "watched 4,deliver plain,deliver kept 7",
		},
		{
			"what ended an older event does not end that of the snapshot",
			"begin,forget 6,kept 7,read 7,forget 8", "watched 7,deliver forget 8",
		},
		{
			"nobody misses what was kept before the first snapshot",
			"begin,plain,kept 7,again", "deliver plain",
		},
		{
			"an answer that is sure outlives the registration",
			"begin,answer 5,again", "answer 5",
		},
		{
			"an edge that comes twice is told once",
			"begin,read 4,edge 5,edge 5", "watched 4,edge 5",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlayed(t)
			for _, step := range strings.Split(test.played, ",") {
				p.play(step)
			}
			if want := strings.Split(test.want, ","); !slices.Equal(p.teller.heard, want) {
				t.Errorf("got %q, want %q", p.teller.heard, want)
			}
		})
	}
}

type played struct {
	t       *testing.T
	adapter *Adapter
	teller  *teller
	channel cluster.Channel
	topic   uint32
	number  uint64 // of publications
}

func newPlayed(t *testing.T) *played {
	t.Helper()
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &played{t: t, adapter: a, teller: &teller{listener: newListener()}, channel: named("presence-room")}
	a.deliverer = p.teller
	p.topic = a.names.topic(p.channel)
	return p
}

func (p *played) play(step string) {
	p.t.Helper()
	what, seq, _ := strings.Cut(step, " ")
	a, n := p.adapter, p.adapter.names
	origin := func(kind byte) []byte {
		p.number++
		return appendOrigin(n.appendCID(appendHeader(nil, kind), p.topic, p.channel), "0123456789abcdef", p.number)
	}
	switch what {
	case "begin", "gap":
		a.begin(request{channel: p.channel, watch: true, snapshot: true}, p.topic, 0, what == "gap")
	case "beginlive":
		a.begin(request{channel: p.channel, watch: true}, p.topic, 0, false)
	case "live":
		a.finish(p.channel, p.topic, 0, nil)
	case "read":
		if !a.finish(p.channel, p.topic, 0, &cluster.Snapshot{Seq: seqOf(seq)}) {
			p.teller.heard = append(p.teller.heard, "read again")
		}
	case "edge":
		m := append(n.appendCID(appendHeader(nil, kindEdge), p.topic, p.channel), byte(cluster.MemberAdded))
		a.onMessage(string(appendField(appendField(appendField(m, seq), "ann"), memberBytes(cluster.Member{}))))
	case "plain":
		a.onMessage(string(appendField(appendField(origin(kindPlain), ""), "plain")))
	case "kept":
		a.onMessage(string(appendKeptTail(appendField(origin(kindKept), seq), &cluster.Publication{Payload: []byte(step)}, 1)))
	case "forget":
		a.onMessage(string(appendKeptTail(appendField(origin(kindForget), seq), &cluster.Publication{Payload: []byte(step)}, 0)))
	case "answer":
		a.tell(p.channel, p.topic, 0, seqOf(seq), false, func() { p.teller.heard = append(p.teller.heard, step) })
	case "again":
		a.bus.clear()
		for i := range a.stripes {
			a.clear(&a.stripes[i])
		}
	case "unwatch":
		a.unwatch(p.channel, p.topic, 0)
	default:
		p.t.Fatalf("step %q", step)
	}
}

// TestTooMuchHeldBackIsToldAtOnce: publications go on, and edges are left to another
// snapshot.
func TestTooMuchHeldBackIsToldAtOnce(t *testing.T) {
	const numbered = "edge 5,plain,kept 6,read 6,edge 7,read 7,plain"
	for _, test := range []struct {
		name         string
		held         int64 // by other channels
		fits         int
		played, want string
	}{
		{
			"events of a channel", 0, maxHeldEvents, numbered,
			"deliver plain,deliver kept 6,read again,watched 7,deliver plain",
		},
		{
			"bytes of all channels", maxHeldBytes - 1, 0, numbered,
			"deliver plain,deliver kept 6,read again,read again,deliver plain",
		},
		{
			"plain events, which no snapshot has", maxHeldBytes - 1, 0, "plain,read 4,edge 5",
			"deliver plain,watched 4,edge 5",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlayed(t)
			p.adapter.held.Store(test.held)
			for _, step := range []string{"begin", "read 4", "gap"} {
				p.play(step)
			}
			want := []string{"watched 4"}
			for range test.fits {
				p.play("plain")
			}
			if !slices.Equal(p.teller.heard, want) {
				t.Fatalf("got %q, want all but the snapshot held back", p.teller.heard)
			}
			for _, step := range strings.Split(test.played, ",") {
				p.play(step)
			}
			want = append(want, slices.Repeat([]string{"deliver plain"}, test.fits)...)
			want = append(want, strings.Split(test.want, ",")...)
			if !slices.Equal(p.teller.heard, want) {
				t.Errorf("got %q, want %q", p.teller.heard, want)
			}
			if st := p.adapter.Stats(); st.Dropped != 0 || p.adapter.held.Load() != test.held {
				t.Errorf("dropped %d, %d bytes are held", st.Dropped, p.adapter.held.Load()-test.held)
			}
		})
	}
}

func TestAPublicationThatIsRepeatedIsToldOnce(t *testing.T) {
	p := newPlayed(t)
	p.play("begin")
	p.play("read 4")
	p.play("plain")
	p.number-- // the connection was lost: the same number again
	p.play("plain")
	p.play("plain")
	if want := []string{"watched 4", "deliver plain", "deliver plain"}; !slices.Equal(p.teller.heard, want) {
		t.Errorf("got %q, want %q", p.teller.heard, want)
	}
	if p.adapter.Stats().Junk != 0 {
		t.Error("a repetition is junk")
	}
}
