package local

import (
	"math/rand/v2"
	"sync"
	"time"

	"resound/channels/cluster"
)

// Hub connects adapters of one process.
type Hub struct {
	mu       sync.Mutex
	changed  sync.Cond // broadcast after each task; on mu
	lanes    lanes
	running  bool     // the goroutine that takes tasks is there
	telling  *Adapter // whose Deliverer it calls
	down     bool
	back     bool // after an outage, until every node has stated everything again
	seq      uint64
	dead     []*Adapter // killed in an outage
	made     int        // adapters
	adapters []*Adapter // those that started and were not closed or killed
	channels map[cluster.Channel]*channel
	swept    time.Time
}

// NewHub returns a hub in which a statement takes effect at once and answers
// keep the order in which they were decided.
func NewHub() *Hub {
	h := &Hub{channels: make(map[cluster.Channel]*channel)}
	h.changed.L = &h.mu
	return h
}

// NewShuffledHub returns a hub in which statements and answers are delayed and
// taken in an order that seed decides, as far as goroutines let it; about one
// channel and node they keep theirs.
func NewShuffledHub(seed uint64) *Hub {
	h := NewHub()
	h.lanes.rng = rand.New(rand.NewPCG(seed, seed))
	return h
}

// NewAdapter returns the adapter of one more node.
func (h *Hub) NewAdapter() *Adapter {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	return &Adapter{hub: h, number: h.made, watched: make(map[cluster.Channel]bool), connections: make(map[string]int64)}
}

// Names implements cluster.KeptEvents.
func (h *Hub) Names() (names []cluster.Channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, s := range h.channels {
		if s.keptEvent() != nil {
			names = append(names, c)
		}
	}
	return names
}

// Last implements cluster.KeptEvents.
func (h *Hub) Last(c cluster.Channel) *cluster.Kept {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.channels[c]; ok {
		return s.keptEvent()
	}
	return nil
}

// Settle waits until nothing is on its way, apart from what concerns paused
// nodes. It must not be called by a Deliverer.
func (h *Hub) Settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.running || !h.lanes.idle() {
		h.changed.Wait()
	}
}

// wake starts the goroutine that takes tasks unless it runs.
func (h *Hub) wake() {
	if !h.running && !h.lanes.idle() {
		h.running = true
		go h.run()
	}
}

func (h *Hub) run() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		t, of, ok := h.lanes.take()
		if !ok && h.comeBack() {
			continue
		}
		if !ok {
			h.running = false
			h.changed.Broadcast()
			return
		}
		if t.apply != nil {
			t.apply()
		} else {
			h.telling = of
			h.mu.Unlock()
			t.tell()
			h.mu.Lock()
			h.telling = nil
		}
		h.changed.Broadcast()
	}
}
