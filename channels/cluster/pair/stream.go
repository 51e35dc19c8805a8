package pair

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"resound/channels/cluster"
)

// MaxQueuedBytes is how much may wait to be written at an end.
const MaxQueuedBytes = 256 << 20

// writtenStep is after how many bytes room is made for others, while a lot is written.
const writtenStep = 64 << 10

// finishTimeout is how long the other process may take to read what is left.
const finishTimeout = 5 * time.Second

// version of what the ends say to each other. Ends of different versions do not
// become a pair.
const version = 1

// verb says what a message is about. Those of the predecessor are the methods of an
// adapter, those of the host the methods of a Deliverer.
type verb uint8

const (
	hello verb = iota + 1 // Number is the version
	bye                   // nothing follows, and nothing stays

	publish
	watch
	unwatch
	hold
	seat
	unseat
	inherit
	terminate
	ask // one of the queries, or nothing at all
	answer

	deliver
	watched
	edge
	seated
	unseated
)

// message is one call of a method. Fields that a verb does not need are empty.
type message struct {
	Verb        verb
	Channel     cluster.Channel
	UserID      string
	Flag        bool // Watch: snapshot; Hold: counted; Deliver: mine
	Number      int
	Seq         uint64
	Member      *cluster.Member
	Publication *cluster.Publication
	Inherited   *cluster.Inherited
	Snapshot    *cluster.Snapshot
	Edge        *cluster.Edge
	Question    question // ask
	ID          uint64   // ask and answer
	Answer      *reply   // answer
}

// question names a query.
type question uint8

const (
	nothing question = iota // answered when everything before it was heard
	aboutChannel
	aboutChannels
	aboutMembers
)

// reply is the answer to a question.
type reply struct {
	Occupancy cluster.Occupancy
	Rows      []cluster.NamedOccupancy
	TooMany   bool // rows
	Members   []cluster.Member
}

// bytes is about what the message takes.
func (m *message) bytes() int {
	const fixed = 64
	n := fixed + len(m.Channel.Name) + len(m.UserID)
	if p := m.Publication; p != nil {
		n += len(p.Payload) + len(p.Data) + len(p.Name)
	}
	if m.Member != nil {
		n += memberBytes(*m.Member)
	}
	if in := m.Inherited; in != nil {
		for _, u := range in.Members {
			n += memberBytes(u)
		}
		n += keptBytes(in.Kept)
	}
	if s := m.Snapshot; s != nil {
		for _, u := range s.Members {
			n += memberBytes(u)
		}
		n += keptBytes(s.Kept)
	}
	if e := m.Edge; e != nil {
		n += len(e.Channel.Name) + memberBytes(e.Member)
	}
	if r := m.Answer; r != nil {
		n += keptBytes(r.Occupancy.Kept)
		for _, row := range r.Rows {
			n += fixed + len(row.Name)
		}
		for _, u := range r.Members {
			n += memberBytes(u)
		}
	}
	return n
}

func memberBytes(m cluster.Member) int { return len(m.ID) + len(m.IDJSON) + len(m.Info) }

func keptBytes(k *cluster.Kept) int {
	if k == nil {
		return 0
	}
	return len(k.Payload) + len(k.Name) + len(k.Data)
}

// stream carries messages over a connection, in both directions.
type stream struct {
	conn net.Conn
	in   *gob.Decoder
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	changed sync.Cond // on mu
	queue   []message
	bytes   int
	limit   int
	ended   bool // nothing more is taken
	dropped uint64
}

func newStream(conn net.Conn) *stream {
	s := &stream{conn: conn, in: gob.NewDecoder(bufio.NewReader(conn)), done: make(chan struct{}), limit: MaxQueuedBytes}
	s.changed.L = &s.mu
	go s.write()
	return s
}

// send queues m. It never waits.
func (s *stream) send(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := m.bytes()
	switch {
	case s.ended:
		return
	case s.bytes+n <= s.limit:
	case m.Verb == publish || m.Verb == deliver:
		s.dropped++
		return
	default:
		s.ended = true
		_ = s.conn.Close()
		s.changed.Signal()
		return
	}
	s.queue = append(s.queue, m)
	s.bytes += n
	s.changed.Signal()
}

// finish lets what is queued be written and closes the connection.
func (s *stream) finish() {
	s.mu.Lock()
	s.ended = true
	s.changed.Signal()
	s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(finishTimeout))
	<-s.done
}

func (s *stream) write() {
	defer close(s.done)
	defer s.conn.Close()
	buffer := bufio.NewWriter(s.conn)
	out := gob.NewEncoder(buffer)
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.ended {
			s.changed.Wait()
		}
		batch, ended := s.queue, s.ended
		s.queue = nil
		s.mu.Unlock()
		var err error
		n := 0
		for i := range batch {
			if err = out.Encode(&batch[i]); err != nil {
				break
			}
			if n += batch[i].bytes(); n >= writtenStep {
				s.written(n)
				n = 0
			}
		}
		if err == nil {
			err = buffer.Flush()
		}
		s.written(n)
		if err != nil || ended {
			s.mu.Lock()
			s.ended, s.queue = true, nil
			s.mu.Unlock()
			return
		}
	}
}

// written makes room for n bytes: what is taken out of the queue waits until it is
// written.
func (s *stream) written(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= n
}

// greet exchanges the versions.
func (s *stream) greet() error {
	s.send(message{Verb: hello, Number: version})
	var m message
	if err := s.in.Decode(&m); err != nil {
		return err
	}
	switch {
	case m.Verb != hello:
		return errors.New("no greeting")
	case m.Number != version:
		return fmt.Errorf("version %d of what processes say to each other, this one has %d", m.Number, version)
	}
	return nil
}
