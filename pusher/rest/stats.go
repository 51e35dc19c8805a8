package rest

import (
	"sync/atomic"

	"resound/pusher/rest/shield"
)

// Stats counts since the start of the server.
type Stats struct {
	// Responses by class of status: [2] is 200-299. [0] and [1] stay 0.
	Responses [6]uint64

	SignatureFailures uint64 // requests answered 401
	RateLimited       uint64 // requests answered 429
	Overloaded        uint64 // triggers answered 503 because deliveries wait
	RefusedDegraded   uint64 // triggers answered 503 because other nodes are out of reach
	Panics            uint64 // requests answered 500

	FallbackSessions int // open now

	Shield shield.Stats // of all apps
}

// Stats returns the counts of this moment.
func (s *Server) Stats() Stats {
	c := &s.counters
	out := Stats{
		SignatureFailures: c.signatureFailures.Load(),
		RateLimited:       c.rateLimited.Load(),
		Overloaded:        c.overloaded.Load(),
		RefusedDegraded:   c.refusedDegraded.Load(),
		Panics:            c.panics.Load(),
		FallbackSessions:  s.fallback.count(),
		Shield:            s.shields.counters.Stats(),
	}
	for i := range out.Responses {
		out.Responses[i] = c.responses[i].Load()
	}
	return out
}

type counters struct {
	responses         [6]atomic.Uint64
	signatureFailures atomic.Uint64
	rateLimited       atomic.Uint64
	overloaded        atomic.Uint64
	refusedDegraded   atomic.Uint64
	panics            atomic.Uint64
}

func (c *counters) answered(status int) {
	if class := status / 100; class < len(c.responses) {
		c.responses[class].Add(1)
	}
}
