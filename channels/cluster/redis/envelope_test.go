package redis

import (
	"testing"

	"resound/channels/cluster"
)

const wantTopic = "{test:0:265}:243977"

func testNames() *names { return newNames("test", 0, defaultTopics) }

func plainMessage(c cluster.Channel, except, payload string) string {
	n := testNames()
	m := n.appendCID(appendHeader(nil, kindPlain), n.topic(c), c)
	m = appendOrigin(m, "0123456789abcdef", 7)
	return string(appendField(appendField(m, except), payload))
}

// FuzzEnvelope wants every message that is understood to be the one its parts make.
func FuzzEnvelope(f *testing.F) {
	c := cluster.Channel{App: "1", Name: "chat"}
	f.Add(plainMessage(c, "1.2", "{}"))
	n := testNames()
	kept := appendOrigin(n.appendCID(appendHeader(nil, kindKept), n.topic(c), c), "0123456789abcdef", 8)
	kept = appendField(kept, "12345")
	f.Add(string(appendKeptTail(kept, &cluster.Publication{Name: `"n"`, Data: `"d"`, Payload: []byte("p")}, 60_000)))
	count := appendOrigin(n.appendCID(appendHeader(nil, kindCount), n.topic(c), c), "0123456789abcdef", 9)
	f.Add(string(appendField(appendField(count, "12345"), "{}")))
	edge := append(n.appendCID(appendHeader(nil, kindEdge), n.topic(c), c), byte(cluster.MemberAdded))
	edge = appendField(appendField(appendField(edge, "99"), "ann"), memberBytes(cluster.Member{IDJSON: "1", Info: "{}"}))
	f.Add(string(edge))
	f.Add(string(appendField(appendField(append(appendHeader(nil, kindTerminate), "0123456789abcdef"...), "1"), "ann")))
	f.Add("rs\x01P\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, message string) {
		e, topic, err := decode(message)
		if err != nil {
			return
		}
		if e.kind != kindPlain && e.kind != kindCount {
			return
		}
		m := n.appendCID(appendHeader(nil, e.kind), topic, e.channel)
		m = appendOrigin(m, e.node, e.number)
		if e.kind == kindCount {
			m = appendField(appendField(m, decimal(e.counted)), e.payload)
		} else {
			m = appendField(appendField(m, e.except), e.payload)
		}
		again, _, err := decode(string(m))
		if err != nil || again != e {
			t.Errorf("got %+v, %v; want %+v", again, err, e)
		}
	})
}

func TestMessagesThatAreCutAnywhereAreJunk(t *testing.T) {
	whole := plainMessage(cluster.Channel{App: "1", Name: "chat"}, "1.2", "payload")
	if _, _, err := decode(whole); err != nil {
		t.Fatalf("the whole message: %v", err)
	}
	for i := range whole {
		if _, _, err := decode(whole[:i]); err == nil {
			t.Errorf("the first %d bytes are understood", i)
		}
	}
}

func TestTopicsAndSlotsAreWhatEveryNodeExpects(t *testing.T) {
	// A change of these would split a cluster of old and new nodes.
	n := testNames()
	if got, want := n.topicName(n.topic(cluster.Channel{App: "1", Name: "chat"})), wantTopic; got != want {
		t.Errorf("topic: got %s, want %s", got, want)
	}
	// Redis Cluster specification: the CRC16 of "123456789" is 0x31C3.
	if got, want := slotOfTag("{123456789}"), 0x31C3%16384; got != want {
		t.Errorf("slot: got %d, want %d", got, want)
	}
	if id, ok := n.topicOf(wantTopic); !ok || n.topicName(id) != wantTopic {
		t.Errorf("topic of %s: got %d, %v", wantTopic, id, ok)
	}
}
