package loop

import (
	"errors"
	"net"
	"os"
	"time"
)

// wire is the net.Conn that crypto/tls believes to have. Who calls it, and
// whether it may wait, depends on its mode.
type wire struct {
	mode wireMode
	in   []byte   // received and not read; in looped mode a view
	out  []byte   // looped: written and not yet taken
	file *os.File // handed

	shake *shaking // shaking; nil afterwards
}

type wireMode uint8

const (
	shakes wireMode = iota // a goroutine of the handshake, fed by the reactor
	looped                 // the reactor; nothing ever waits
	handed                 // the HTTP server, on the duplicated socket
)

// errNothing is what reading answers when nothing is there.
var errNothing error = nothing{}

// nothing is temporary to crypto/tls, which keeps every other error.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read" }
func (nothing) Timeout() bool   { return false }
func (nothing) Temporary() bool { return true }

var _ net.Error = nothing{}

// loop is called by the reactor once the goroutine is done.
func (w *wire) loop() {
	w.mode, w.in, w.shake = looped, w.shake.in, nil
}

// end is called by the reactor before the socket is closed: the descriptor's
// number is about to belong to somebody else.
func (w *wire) end() {
	if w.shake != nil {
		w.shake.end()
	}
}

func (w *wire) Read(b []byte) (int, error) {
	switch {
	case w.mode == shakes:
		return w.shake.read(b)
	case len(w.in) > 0:
		n := copy(b, w.in)
		w.in = w.in[n:]
		return n, nil
	case w.mode == looped:
		return 0, errNothing
	}
	n, err := w.file.Read(b)
	return n, fileError(err)
}

func (w *wire) Write(b []byte) (int, error) {
	switch w.mode {
	case shakes:
		return w.shake.write(b)
	case looped:
		w.out = append(w.out, b...)
		return len(b), nil
	}
	n, err := w.file.Write(b)
	return n, fileError(err)
}

// fileError makes a file's timeout one of the network: crypto/tls and HTTP servers
// go on after that, and give up after any other error.
func fileError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Close is called by the HTTP server alone.
func (w *wire) Close() error {
	if w.mode != handed {
		return nil
	}
	return w.file.Close()
}

func (w *wire) LocalAddr() net.Addr  { return nil }
func (w *wire) RemoteAddr() net.Addr { return nil }

func (w *wire) SetDeadline(t time.Time) error {
	return w.deadline((*os.File).SetDeadline, t)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	return w.deadline((*os.File).SetReadDeadline, t)
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	return w.deadline((*os.File).SetWriteDeadline, t)
}

// deadline is the HTTP server's: reactors keep their own.
func (w *wire) deadline(set func(*os.File, time.Time) error, t time.Time) error {
	if w.mode != handed {
		return nil
	}
	return set(w.file, t)
}
