package channels_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"resound/channels"
)

func appendTestMember(ids, entries []byte, m *channels.Member) (_, _ []byte) {
	return append(ids, m.IDJSON...), fmt.Appendf(entries, "%s:%s", m.IDJSON, m.Info)
}

// toldText is a roster as text, and what it has to be.
type toldText struct {
	text         *channels.RosterText
	members      int
	ids, entries string
}

func (x toldText) check(t *testing.T) {
	t.Helper()
	ids, entries := string(x.text.AppendIDs([]byte("ids "))), string(x.text.AppendEntries([]byte("entries ")))
	if want := "ids " + x.ids; ids != want {
		t.Errorf("got ids %q, want %q", ids, want)
	}
	if want := "entries " + x.entries; entries != want {
		t.Errorf("got entries %q, want %q", entries, want)
	}
	if got, want := x.text.Members, x.members; got != want {
		t.Errorf("got %d members, want %d", got, want)
	}
	if got, least := x.text.Len(), len(x.ids)+len(x.entries); got < least || got > least+2 {
		t.Errorf("got a length of %d, want %d and the commas in front", got, least)
	}
}

// TestRosterTextAgainstMembers lets users come and go and compares the text that
// each joiner is told with the members at that moment. Text that was told must
// not change with what happens later.
func TestRosterTextAgainstMembers(t *testing.T) {
	for _, users := range []int{3, 40, 500} {
		t.Run(fmt.Sprint(users, " users"), func(t *testing.T) {
			const channel = "presence-a"
			rnd := rand.New(rand.NewPCG(1, uint64(users)))
			d := channels.NewDirectory(nil)
			d.TellRostersAsText(appendTestMember)
			var kept []toldText
			present := make(map[string]bool)
			for step := range 4000 {
				id := fmt.Sprint("u", rnd.IntN(users))
				if present[id] {
					d.Leave(channel, 0, false, id)
					delete(present, id)
					continue
				}
				present[id] = true
				m := &channels.Member{ID: id, IDJSON: id, Info: strings.Repeat("i", step%30)}
				got, members, err := d.Join(channel, 0, m, 0, nil, epoch)
				if err != nil || len(members) > 0 {
					t.Fatalf("got %d members and %v, want the roster as text", len(members), err)
				}
				x := toldText{text: got.Roster}
				all, _ := d.Members(channel)
				for i, m := range all {
					if i > 0 {
						x.ids += ","
						x.entries += ","
					}
					x.ids += m.IDJSON
					x.entries += m.IDJSON + ":" + m.Info
				}
				x.members = len(all)
				x.check(t)
				if rnd.IntN(20) == 0 {
					kept = append(kept, x)
				}
				if rnd.IntN(10) == 0 {
					again, _ := d.Revisit(channel, "", nil, epoch)
					x.text = again.Roster
					x.check(t)
				}
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
			}
			if len(kept) < 10 {
				t.Fatalf("only %d rosters were kept", len(kept))
			}
			for _, x := range kept {
				x.check(t)
			}
		})
	}
}

func TestChannelsWithoutRosterHaveNoText(t *testing.T) {
	d := channels.NewDirectory(nil)
	d.TellRostersAsText(appendTestMember)
	if got := d.Subscribe("news", 0, epoch); got.Roster != nil {
		t.Errorf("got %+v, want no roster", got.Roster)
	}
	if got, _ := d.Revisit("presence-vacant", "", nil, epoch); got.Roster.Len() != 0 {
		t.Errorf("got a roster of %d bytes, want none", got.Roster.Len())
	}
}
