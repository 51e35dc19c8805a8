package channels

// indexAbove is the number of subscriptions of one connection above which they
// are found through a map. Below it a scan over 8-byte entries is faster.
const indexAbove = 16

// Subscriptions is a connection's side of its subscriptions: 16 bytes while
// there is at most one, which is the common case at a million connections. The
// zero value is empty. Owned by the reactor that owns the connection; only its
// Registry changes it.
type Subscriptions struct {
	one  ref // used while many is nil
	many *refList
}

// ref points at a subscription on the channel's side.
type ref struct {
	channel int32 // slab handle of the channel + 1; 0 means no subscription
	pos     int32 // index of the entry in the channel's list
}

type refList struct {
	refs  []ref
	index map[int32]int32 // channel -> position in refs; nil up to indexAbove
}

// Len is the number of channels subscribed to.
func (s *Subscriptions) Len() int {
	if s.many != nil {
		return len(s.many.refs)
	}
	if s.one.channel != 0 {
		return 1
	}
	return 0
}

func (s *Subscriptions) at(i int32) *ref {
	if s.many != nil {
		return &s.many.refs[i]
	}
	return &s.one
}

// find returns the position of the subscription to channel, or -1.
func (s *Subscriptions) find(channel int32) int32 {
	if s.many == nil {
		if s.one.channel == channel {
			return 0
		}
		return -1
	}
	if s.many.index != nil {
		if i, ok := s.many.index[channel]; ok {
			return i
		}
		return -1
	}
	for i := range s.many.refs {
		if s.many.refs[i].channel == channel {
			return int32(i)
		}
	}
	return -1
}

// add appends r and returns its position.
func (s *Subscriptions) add(r ref) int32 {
	if s.many == nil {
		if s.one.channel == 0 {
			s.one = r
			return 0
		}
		s.many = &refList{refs: append(make([]ref, 0, 4), s.one)}
		s.one = ref{}
	}
	m := s.many
	i := int32(len(m.refs))
	m.refs = append(m.refs, r)
	switch {
	case m.index != nil:
		m.index[r.channel] = i
	case len(m.refs) > indexAbove:
		m.index = make(map[int32]int32, 2*len(m.refs))
		for j, r := range m.refs {
			m.index[r.channel] = int32(j)
		}
	}
	return i
}

// remove takes position i out, moving the last one there. It returns the moved
// ref, or a zero ref when none moved.
func (s *Subscriptions) remove(i int32) (moved ref) {
	if s.many == nil {
		s.one = ref{}
		return ref{}
	}
	m := s.many
	last := int32(len(m.refs)) - 1
	if m.index != nil {
		delete(m.index, m.refs[i].channel)
	}
	if i != last {
		moved = m.refs[last]
		m.refs[i] = moved
		if m.index != nil {
			m.index[moved.channel] = i
		}
	}
	m.refs = m.refs[:last]
	if last == 0 {
		s.many = nil
	}
	return moved
}
