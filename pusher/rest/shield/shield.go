package shield

import (
	"crypto/rand"
	"sync"
	"time"
)

// Options of a Shield.
type Options struct {
	// Upstream is the http or https URL of the application's channel
	// authorization. Users are asked about at "user-auth" in place of its last
	// segment. Required.
	Upstream string

	// Key is the app's public key, which a grant must carry. Required.
	Key string

	CacheTTL    time.Duration // how long a grant is reused; zero means not at all
	Timeout     time.Duration // of a question, its wait for a turn included; zero means 5 s
	MaxInFlight int           // questions at a time; zero means 64

	Now      func() time.Time // ages what is kept; nil means time.Now
	Counters *Counters        // nil means counters of its own
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Counters == nil {
		o.Counters = new(Counters)
	}
	return o
}

// Shield stands between the browsers of one app and its application. Safe for
// concurrent use.
type Shield struct {
	options  Options
	secret   [32]byte // of the hash that credentials are kept in
	upstream *upstream
	turns    chan struct{} // holds one value for each question in flight

	mu      sync.Mutex
	flights map[key]*flight
	granted granted
}

// flight is a question on its way. grant and err are written before done is
// closed and read after.
type flight struct {
	done  chan struct{}
	grant Grant
	err   error
}

// New returns a Shield. The error says what is wrong with Options.Upstream.
func New(o Options) (*Shield, error) {
	o = o.withDefaults()
	up, err := newUpstream(o)
	if err != nil {
		return nil, err
	}
	s := &Shield{
		options:  o,
		upstream: up,
		turns:    make(chan struct{}, o.MaxInFlight),
		flights:  make(map[key]*flight),
		granted:  newGranted(),
	}
	_, _ = rand.Read(s.secret[:]) // Never fails; see crypto/rand.
	return s, nil
}

// Ask returns what the application grants. It blocks for Options.Timeout at
// most. The error is a *Refusal or an *Unavailable.
func (s *Shield) Ask(q *Question) (Grant, error) {
	if q.anonymous() {
		return s.question(q)
	}
	k := s.keyOf(q)
	s.mu.Lock()
	if g, ok := s.granted.lookup(k, s.options.Now()); ok {
		s.mu.Unlock()
		s.options.Counters.cached.Add(1)
		return g, nil
	}
	if f, ok := s.flights[k]; ok {
		s.mu.Unlock()
		s.options.Counters.shared.Add(1)
		<-f.done // The question ends by Options.Timeout, and this came later.
		return f.grant, f.err
	}
	f := &flight{done: make(chan struct{}), err: unavailable("the question broke off")}
	s.flights[k] = f
	s.mu.Unlock()

	// Deferred, so that a panic leaves nobody waiting.
	defer s.land(k, f)
	f.grant, f.err = s.question(q)
	return f.grant, f.err
}

// land hands the answer to all who wait for it. What comes later finds the
// grant, or asks again.
func (s *Shield) land(k key, f *flight) {
	s.mu.Lock()
	delete(s.flights, k)
	if f.err == nil && s.options.CacheTTL > 0 {
		now := s.options.Now()
		s.options.Counters.evicted.Add(s.granted.keep(k, f.grant, now, now.Add(s.options.CacheTTL)))
	}
	s.mu.Unlock()
	close(f.done)
}

// question waits for a turn and asks the application.
func (s *Shield) question(q *Question) (Grant, error) {
	deadline := time.Now().Add(s.options.Timeout)
	if !s.takeTurn() {
		s.options.Counters.unavailable.Add(1)
		return Grant{}, unavailable("%d questions are in flight and none ended within %v", s.options.MaxInFlight, s.options.Timeout)
	}
	defer func() { <-s.turns }()
	s.options.Counters.asked.Add(1)
	g, err := s.upstream.ask(q, deadline)
	s.options.Counters.count(err)
	return g, err
}

// takeTurn reports false when none came in time.
func (s *Shield) takeTurn() bool {
	select {
	case s.turns <- struct{}{}:
		return true // Fast path.
	default:
	}
	late := time.NewTimer(s.options.Timeout)
	defer late.Stop()
	select {
	case s.turns <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}
