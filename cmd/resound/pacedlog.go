package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// paceRecords is how many records of a kind pass in a paceWindow. A kind is
	// what has the same level and message.
	paceRecords = 10
	paceWindow  = 10 * time.Second

	// maxPacedKinds is how many kinds are told apart; what exceeds it is one kind.
	maxPacedKinds = 256
)

// pacedLog passes records on, of each kind so many in a window. Those it holds
// back are counted, and told of when the window is over. Safe for concurrent use.
type pacedLog struct {
	next slog.Handler
	all  *paces // shared by the handlers that WithAttrs makes
}

type paces struct {
	base   slog.Handler // without the attributes of anybody
	now    func() time.Time
	mu     sync.Mutex
	byKind map[kind]*pace
}

type kind struct {
	level   slog.Level
	message string
}

// pace is one kind's window.
type pace struct {
	began  time.Time
	passed int
	held   int
}

func newPacedLog(next slog.Handler, now func() time.Time) *pacedLog {
	return &pacedLog{next, &paces{base: next, now: now, byKind: make(map[kind]*pace)}}
}

// Enabled implements slog.Handler.
func (l *pacedLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (l *pacedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &pacedLog{l.next.WithAttrs(attrs), l.all}
}

// WithGroup implements slog.Handler.
func (l *pacedLog) WithGroup(name string) slog.Handler {
	return &pacedLog{l.next.WithGroup(name), l.all}
}

// Handle implements slog.Handler.
func (l *pacedLog) Handle(ctx context.Context, r slog.Record) error {
	if !l.admit(kind{r.Level, r.Message}) {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// admit counts a record and reports whether it passes.
func (l *pacedLog) admit(k kind) bool {
	a := l.all
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.byKind[k]
	if p == nil {
		if len(a.byKind) >= maxPacedKinds {
			k = kind{level: k.level, message: "other messages"}
			p = a.byKind[k]
		}
		if p == nil {
			p = &pace{}
			a.byKind[k] = p
		}
	}
	now := a.now()
	if now.Sub(p.began) >= paceWindow && p.held == 0 {
		*p = pace{began: now}
	}
	if p.passed < paceRecords {
		p.passed++
		return true
	}
	if p.held++; p.held == 1 {
		time.AfterFunc(paceWindow-now.Sub(p.began), func() { l.tell(k) })
	}
	return false
}

// tell says how many records of a kind were held back, and begins a new window.
func (l *pacedLog) tell(k kind) {
	a := l.all
	a.mu.Lock()
	p := a.byKind[k]
	held := p.held
	*p = pace{began: a.now()}
	a.mu.Unlock()
	r := slog.NewRecord(a.now(), k.level, "a message repeats and was held back", 0)
	r.AddAttrs(slog.String("message", k.message), slog.Int("times", held), slog.String("within", paceWindow.String()))
	_ = a.base.Handle(context.Background(), r)
}
