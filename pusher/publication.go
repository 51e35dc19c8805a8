package pusher

import (
	"sync"

	"resound/frame"
)

// maxMergedBytes bounds the frames put together for one write.
const maxMergedBytes = 16 << 10

// Publication is an event on its way to its audience: the frame, encoded once,
// shared by all reactors and connections. Immutable once posted.
type Publication struct {
	app      *App
	audience audience
	name     string // of the channel or user
	frame    []byte
	seq      uint64   // number in the Directory's or Users' order; 0 when it has none
	since    uint64   // for who subscribed with this number or a later one; 0 for everybody
	except   SocketID // must not receive it; zero for nobody

	deflated *deflated // nil without Options.Compression
}

// deflated is the compressed form of a publication's frame, made when the first
// reactor asks for it.
type deflated struct {
	once  sync.Once
	frame []byte
}

// publicationBytes is what a publication takes beside its frame and its name.
const publicationBytes = 176

// PostedBytes is the memory of the publication, for the bound on what waits.
func (p *Publication) PostedBytes() int {
	n := publicationBytes + len(p.name) + cap(p.frame)
	if p.deflated != nil {
		n += len(p.frame) // the compressed form is no longer
	}
	return n
}

// plain is the frame as it is.
func (p *Publication) plain() []byte { return p.frame }

// deflate is the frame for connections that take compressed ones: compressed if
// that makes it shorter.
func (p *Publication) deflate() []byte {
	d := p.deflated
	d.once.Do(func() {
		var ok bool
		if d.frame, ok = frame.AppendDeflated(nil, frame.Payload(p.frame)); !ok {
			d.frame = p.frame
		}
	})
	return d.frame
}

// audience says which of a shard's registries a publication is for.
type audience uint8

const (
	toSubscribers audience = iota // of the channel
	toUser                        // connections signed in as the user
	toWatchers                    // of the user
)

// newPublication encodes an event for the subscribers of its channel.
func newPublication(a *App, e Event, encode encodeEvent) *Publication {
	const overhead = len(`{"event":,"data":,"channel":"","user_id":}`)
	size := frame.HeaderRoom + overhead + len(e.Name) + len(e.Data) + len(e.Channel) + len(e.UserID)
	buf := encode(make([]byte, frame.HeaderRoom, size), &e)
	return a.publication(cloned(e.Channel), frame.Seal(buf), e.Except)
}

// publication returns one of a frame, for the subscribers of a channel.
func (a *App) publication(name string, frame []byte, except SocketID) *Publication {
	p := &Publication{app: a, name: name, frame: frame, except: except}
	if a.node.options.Compression {
		p.deflated = &deflated{}
	}
	return p
}

// merges reports whether q may leave in one piece with p: the same subscribers
// get both.
func (p *Publication) merges(q *Publication) bool {
	return p.app == q.app && p.audience == q.audience && p.seq == 0 && q.seq == 0 &&
		p.except == q.except && p.name == q.name
}

// run is how many publications at the front of batch, p the first of them, leave
// in one piece.
func (p *Publication) run(batch []any) int {
	n := 1
	for bytes := len(p.frame); n < len(batch); n++ {
		next, ok := batch[n].(*Publication)
		if !ok || !p.merges(next) || bytes+len(next.frame) > maxMergedBytes {
			break
		}
		bytes += len(next.frame)
	}
	return n
}

// merged returns one form of the frames of a run of publications as one piece,
// sharing the only one's memory.
func merged(run []any, form func(*Publication) []byte) []byte {
	if len(run) == 1 {
		return form(run[0].(*Publication))
	}
	n := 0
	for _, p := range run {
		n += len(form(p.(*Publication)))
	}
	out := make([]byte, 0, n)
	for _, p := range run {
		out = append(out, form(p.(*Publication))...)
	}
	return out
}
