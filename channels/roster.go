package channels

// Member is a user in a presence channel. Immutable.
type Member struct {
	ID     string // the user id as text: 5 and "5" are the same user
	IDJSON string // the id as it was sent: 5 or "5"
	Info   string // user_info as JSON, "null" when it was not sent
}

// roster holds the members of one presence channel in the order they joined,
// each with the number of its connections. Guarded by its stripe's lock.
type roster struct {
	byID  map[string]*seat
	order []*seat // holes where members left, squeezed out now and then
	text  rosterText
}

type seat struct {
	member      *Member
	connections int32
	pos         int32
}

// join adds a connection of the member and reports whether it is the user's
// first. The first connection's user_info stays while the user is present.
//
// Reverb: PresenceChannel keeps the first subscriber's data for a user.
func (r *roster) join(m *Member) (first bool) {
	if s, ok := r.byID[m.ID]; ok {
		s.connections++
		return false
	}
	if r.byID == nil {
		r.byID = make(map[string]*seat)
	}
	s := &seat{member: m, connections: 1, pos: int32(len(r.order))}
	r.byID[m.ID] = s
	r.order = append(r.order, s)
	return true
}

// has reports whether the user is a member.
func (r *roster) has(id string) bool {
	_, ok := r.byID[id]
	return ok
}

// leave removes a connection of the user. It returns the member when that was
// the last one, and nil otherwise or when the user is unknown.
func (r *roster) leave(id string) *Member {
	s, ok := r.byID[id]
	if !ok {
		return nil
	}
	s.connections--
	if s.connections > 0 {
		return nil
	}
	delete(r.byID, id)
	r.order[s.pos] = nil
	r.text.forget(s.pos)
	if len(r.order) > 32 && len(r.byID) < len(r.order)/2 {
		r.squeeze()
	}
	return s.member
}

func (r *roster) squeeze() {
	kept := make([]*seat, 0, len(r.byID)+8)
	for _, s := range r.order {
		if s != nil {
			s.pos = int32(len(kept))
			kept = append(kept, s)
		}
	}
	r.order, r.text = kept, rosterText{}
}

func (r *roster) appendMembers(dst []*Member) []*Member {
	for _, s := range r.order {
		if s != nil {
			dst = append(dst, s.member)
		}
	}
	return dst
}
