package control

import (
	"bufio"
	"encoding/json"
	"net/http"
)

// lines writes a value a line. Owned by the goroutine of its request.
type lines struct {
	control *http.ResponseController
	buffer  *bufio.Writer
	encoder *json.Encoder
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	b := bufio.NewWriterSize(w, lineBuffer)
	return &lines{control: http.NewResponseController(w), buffer: b, encoder: json.NewEncoder(b)}
}

func (l *lines) write(v any) error { return l.encoder.Encode(v) }

// flush sends what was written.
func (l *lines) flush() error {
	if err := l.buffer.Flush(); err != nil {
		return err
	}
	return l.control.Flush()
}

// connections streams as fast as the reactors, visited now and then, tell of
// their connections. A client that is slow or leaves holds up nobody: no reactor
// is visited while a line waits to be written.
func (s *Server) connections(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	begun := false
	q := ConnectionQuery{App: r.FormValue("app"), Channel: r.FormValue("channel")}
	err := s.node.Connections(r.Context(), q, func(c *Connection) error {
		begun = true
		return out.write(c)
	})
	switch {
	case err == nil:
		_ = out.flush()
	case begun:
		panic(http.ErrAbortHandler) // a part must not look like the whole
	default:
		s.refuse(w, err)
	}
}

// tail streams events until the client leaves or the node ends.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	feed, err := s.node.Tail(TailQuery{App: r.FormValue("app"), Channel: r.FormValue("channel"), Event: r.FormValue("event")})
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer feed.Close()
	out := newLines(w)
	if out.flush() != nil { // the client may know that it has begun
		return
	}
	for {
		e, ok := feed.Receive(r.Context())
		if !ok {
			return
		}
		err := out.write(&e)
		if n := feed.TakeDropped(); n > 0 && err == nil {
			err = out.write(&Event{Dropped: n})
		}
		if feed.Waiting() == 0 && err == nil {
			err = out.flush()
		}
		if err != nil {
			return
		}
	}
}
