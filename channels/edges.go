package channels

// Edges is told what becomes of the channels of a Directory. Every method runs
// with the channel's stripe locked, so that calls for one channel come in the
// order in which things happened: an implementation may queue and post, and
// must not call the Directory.
type Edges interface {
	Occupied(channel string)
	Vacated(channel string)

	// MemberAdded and MemberRemoved are told a change of the roster, the
	// reactors that hold subscribers, and the number of the edge.
	MemberAdded(channel string, m *Member, to Interest, seq uint64)
	MemberRemoved(channel string, m *Member, to Interest, seq uint64)

	// Counted is told the number of subscriptions of a channel without a
	// roster after each change, and which reactors hold them.
	Counted(channel string, subscriptions int, to Interest)
}

// NoEdges ignores everything.
type NoEdges struct{}

// Occupied does nothing.
func (NoEdges) Occupied(string) {}

// Vacated does nothing.
func (NoEdges) Vacated(string) {}

// MemberAdded does nothing.
func (NoEdges) MemberAdded(string, *Member, Interest, uint64) {}

// MemberRemoved does nothing.
func (NoEdges) MemberRemoved(string, *Member, Interest, uint64) {}

// Counted does nothing.
func (NoEdges) Counted(string, int, Interest) {}
