package population

import "resound/bench/wire"

// ledger knows which events each connection has received. Its cost is 16 bytes for
// each lane that a connection follows.
type ledger struct {
	lanes     int
	first     int // number of connection 0 among all
	step      int // connections follow lanes that are this far apart
	follows   int // lanes of one connection
	sequences []wire.Sequence
	distinct  []uint64 // events by lane; nil when each has its own subscribers
}

func newLedger(o Options) *ledger {
	l := &ledger{lanes: o.Lanes, first: o.First, step: 1, follows: o.Lanes}
	if o.LanePerChannel {
		l.step = min(o.Channels, o.Total)
		l.follows = (o.Channels + l.step - 1) / l.step
	} else {
		l.distinct = make([]uint64, o.Lanes)
	}
	l.sequences = make([]wire.Sequence, o.Connections*l.follows)
	return l
}

// observe notes that connection i received an event. It reports false when the
// event was not for it.
func (l *ledger) observe(i int32, event uint32) (wire.Outcome, bool) {
	if event == 0 {
		return 0, false
	}
	lane := int(event-1) % l.lanes
	return l.observeLane(i, lane, (event-1)/uint32(l.lanes)+1)
}

// observeLane does the same for an event known by its number in its lane, 1 or more.
func (l *ledger) observeLane(i int32, lane int, number uint32) (wire.Outcome, bool) {
	if lane%l.step != (l.first+int(i))%l.step {
		return 0, false
	}
	outcome := l.sequences[int(i)*l.follows+lane/l.step].Observe(number)
	if outcome != wire.Duplicated && l.distinct != nil {
		l.distinct[lane]++
	}
	return outcome, true
}

// seen reports whether connection i received an event of a lane.
func (l *ledger) seen(i int32, lane int, number uint32) bool {
	return l.sequences[int(i)*l.follows+lane/l.step].Seen(number)
}
