package channels

// AppendMember appends what two lists say of a member, for example of ids and of
// entries by id. It must neither change nor keep m.
type AppendMember func(ids, entries []byte, m *Member) (_, _ []byte)

// RosterText is a roster as two lists of text, at one moment. Immutable, and safe
// to read while the roster changes.
type RosterText struct {
	Members int
	blocks  []textBlock
	one     [1]textBlock // room for the block of a small roster
}

// textBlock is the text of neighbours in a roster. Each member's is preceded by a
// comma.
type textBlock struct{ ids, entries []byte }

// Len is the length of both lists in bytes; 0 for nil.
func (t *RosterText) Len() (bytes int) {
	if t == nil {
		return 0
	}
	for _, b := range t.blocks {
		bytes += len(b.ids) + len(b.entries)
	}
	return bytes
}

// AppendIDs appends the first list, separated by commas. O(Len).
func (t *RosterText) AppendIDs(dst []byte) []byte {
	skip := 1
	for _, b := range t.blocks {
		if len(b.ids) > 0 {
			dst = append(dst, b.ids[skip:]...)
			skip = 0
		}
	}
	return dst
}

// AppendEntries appends the second list, separated by commas. O(Len).
func (t *RosterText) AppendEntries(dst []byte) []byte {
	skip := 1
	for _, b := range t.blocks {
		if len(b.entries) > 0 {
			dst = append(dst, b.entries[skip:]...)
			skip = 0
		}
	}
	return dst
}

// textSeats is how many places of a roster share a block of text. When one of
// them is vacated, the block is written anew.
const textSeats = 32

// textRoom is how many bytes around a member's own the text is expected to take.
const textRoom = 12

// rosterText keeps the text of a roster, so that telling it to one more joiner
// costs the change since the last time. Guarded by its stripe's lock.
type rosterText struct {
	blocks []keptBlock // one for every textSeats places; nil for small rosters
}

// keptBlock is only ever appended to, as what it holds is shared.
type keptBlock struct {
	textBlock
	places int // written so far
}

// forget makes the block of a place be written anew.
func (t *rosterText) forget(place int32) {
	if i := int(place / textSeats); i < len(t.blocks) {
		t.blocks[i] = keptBlock{}
	}
}

// of returns the text of a roster. O(changes since the last call), plus a
// little for each block.
func (t *rosterText) of(r *roster, encode AppendMember) *RosterText {
	out := &RosterText{Members: len(r.byID)}
	if len(r.order) <= textSeats {
		// Small rosters are many, and soon written.
		var b keptBlock
		b.write(r.order, encode)
		out.one[0] = b.textBlock
		out.blocks = out.one[:]
		return out
	}
	n := (len(r.order) + textSeats - 1) / textSeats
	t.blocks = append(t.blocks, make([]keptBlock, max(0, n-len(t.blocks)))...)
	out.blocks = make([]textBlock, n)
	for i := range out.blocks {
		b := &t.blocks[i]
		b.write(r.order[i*textSeats:min(len(r.order), (i+1)*textSeats)], encode)
		out.blocks[i] = b.textBlock
	}
	return out
}

// write appends the places that were not written yet.
func (b *keptBlock) write(places []*seat, encode AppendMember) {
	if b.ids == nil {
		ids, entries := 0, 0
		for _, s := range places {
			if s != nil {
				ids += len(s.member.IDJSON) + textRoom
				entries += len(s.member.ID) + len(s.member.Info)*9/8 + textRoom
			}
		}
		b.ids, b.entries = make([]byte, 0, ids), make([]byte, 0, entries)
	}
	for _, s := range places[b.places:] {
		if s != nil {
			b.ids, b.entries = encode(append(b.ids, ','), append(b.entries, ','), s.member)
		}
	}
	b.places = len(places)
}
