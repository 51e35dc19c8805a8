package channels

// Answered is the cluster's answer to Link.Watch. Unless it is known who is online,
// that stays as watchers were told.
func (u *Users) Answered(id string, online, known bool) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.users[id]
	if !ok || s.decides() {
		return
	}
	x.settled = true
	if known {
		u.set(s, x, online)
	}
	s.settle(x)
	u.drop(s, x)
}

// Missing notes that what is sent to a user, and its coming and going, may be
// missed: who signs in or watches waits until Answered is called.
func (u *Users) Missing(id string) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.users[id]; ok && !s.decides() {
		x.settled = false
	}
}

func (s *userStripe) settle(x *user) {
	if x.waits {
		x.waits = false
		s.link.Settled(x.id, "", x.at|x.watched)
	}
}

// Edge is an edge of the cluster: the user came online or went offline. It is
// ignored before the user is settled.
func (u *Users) Edge(id string, online bool) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.users[id]; ok && !s.decides() && x.settled {
		u.set(s, x, online)
	}
}

// Cut makes the index decide as a node alone does, until Restate. O(users).
func (u *Users) Cut() {
	u.each(func(s *userStripe) { s.cut = true }, func(s *userStripe, x *user) {
		x.settled = true
		if x.connections > 0 {
			u.set(s, x, true)
		}
		s.settle(x)
	})
}

// Restate states everything again and asks for everything anew. O(users).
func (u *Users) Restate() {
	u.each(func(s *userStripe) {
		s.cut = false
		u.left.Add(-int64(len(s.left)))
		for id := range s.left {
			if x, ok := s.users[id]; !ok || x.connections == 0 {
				s.link.Hold(id, 0)
			}
		}
		s.left = nil
	}, func(s *userStripe, x *user) {
		x.settled = false
		if x.connections > 0 {
			s.link.Hold(x.id, int(x.connections))
		}
		s.link.Watch(x.id)
	})
}

// Ask asks anew about every user, because more is asked for than before.
// O(users).
func (u *Users) Ask() {
	for i := range u.stripes {
		s := &u.stripes[i]
		s.mu.Lock()
		for id, x := range s.users {
			if !s.decides() {
				x.settled = false
				s.link.Watch(id)
			}
		}
		s.mu.Unlock()
	}
}

// each calls begin for each stripe, and with for each user who is signed in or
// watched for. The others, who only awaited an answer, are forgotten.
func (u *Users) each(begin func(s *userStripe), with func(s *userStripe, x *user)) {
	for i := range u.stripes {
		s := &u.stripes[i]
		s.mu.Lock()
		begin(s)
		for id, x := range s.users {
			if x.connections == 0 && x.watchers == 0 {
				delete(s.users, id)
				continue
			}
			with(s, x)
		}
		s.mu.Unlock()
	}
}
