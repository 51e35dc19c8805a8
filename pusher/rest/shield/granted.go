package shield

import (
	"container/list"
	"time"
)

const (
	// maxGrants bounds how many grants an app keeps, maxGrantBytes their text.
	// Above either, the oldest are forgotten: it costs a question, no more.
	maxGrants     = 65_536
	maxGrantBytes = 32 << 20
)

// granted keeps grants until they expire. All live equally long, so that the
// oldest is the first to expire. Guarded by the mutex of its Shield.
type granted struct {
	byKey  map[key]*list.Element // of *kept
	byAge  *list.List
	bytes  int
	limits struct{ grants, bytes int }
}

type kept struct {
	key     key
	grant   Grant
	expires time.Time
}

func newGranted() granted {
	g := granted{byKey: make(map[key]*list.Element), byAge: list.New()}
	g.limits.grants, g.limits.bytes = maxGrants, maxGrantBytes
	return g
}

// lookup returns a grant that has not expired.
func (g *granted) lookup(k key, now time.Time) (Grant, bool) {
	e, ok := g.byKey[k]
	if !ok {
		return Grant{}, false
	}
	have := e.Value.(*kept)
	if !now.Before(have.expires) {
		g.forget(e)
		return Grant{}, false
	}
	return have.grant, true
}

// keep adds a grant, and returns how many that had not expired it displaced.
func (g *granted) keep(k key, grant Grant, now, expires time.Time) (evicted uint64) {
	if old, ok := g.byKey[k]; ok {
		g.forget(old)
	}
	g.byKey[k] = g.byAge.PushBack(&kept{k, grant, expires})
	g.bytes += grant.size()
	for e := g.byAge.Front(); e != nil; e = g.byAge.Front() {
		alive := now.Before(e.Value.(*kept).expires)
		if alive && g.byAge.Len() <= g.limits.grants && g.bytes <= g.limits.bytes {
			break
		}
		if alive {
			evicted++
		}
		g.forget(e)
	}
	return evicted
}

func (g *granted) forget(e *list.Element) {
	old := g.byAge.Remove(e).(*kept)
	delete(g.byKey, old.key)
	g.bytes -= old.grant.size()
}
