package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const (
	// defaultMaxBytes bounds the file: a month of MaxSeries series with names of 25
	// bytes is less.
	defaultMaxBytes = 1 << 30

	// maxWaiting is how many points may wait for the writer, ten seconds each.
	maxWaiting = 16

	// calmPoints is how many points must be kept for trouble to be over.
	calmPoints = 6

	// maxChunk is how many points are read or imported at a time: a file that is
	// read cannot give room back.
	maxChunk = 256
)

// ErrUnavailable says that there is no history now.
var ErrUnavailable = errors.New("the history is not available")

// Options of a Store.
type Options struct {
	Path     string           // of the file; required
	MaxBytes int              // of the file; zero means 1 GiB
	Now      func() time.Time // nil means time.Now

	// Before is closed when the process has ended that this one takes over from. Until
	// then the file may be that one's: points wait. Nil: there is none.
	Before <-chan struct{}

	// Logger gets a warning when the history stops, and a note when it goes on. Nil
	// discards.
	Logger *slog.Logger
}

// State is how a Store does.
type State struct {
	Path    string `json:"path"`
	Trouble string `json:"trouble,omitempty"` // why nothing is kept now
	Lost    uint64 `json:"points_lost"`       // because of trouble
	LeftOut uint64 `json:"values_left_out"`   // beyond MaxSeries
}

// Store keeps points in a file. Close it.
type Store struct {
	options Options
	points  chan Point
	imports chan importing
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	opened  chan struct{} // closed when the file was tried to be opened
	ended   chan struct{}

	// Of the writer.
	handle *os.File // of db
	told   bool     // of trouble
	kept   int      // points since the last trouble

	mu    sync.Mutex
	db    *bbolt.DB // nil: not open
	state State
}

type importing struct {
	points []Point
	done   chan error
}

// Open returns a store at once; the writer opens the file.
func Open(o Options) *Store {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		options: o, points: make(chan Point, maxWaiting), imports: make(chan importing), opened: make(chan struct{}), ended: make(chan struct{}),
		state: State{Path: o.Path},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.run()
	return s
}

// Add keeps the values of the ten seconds that at lies in. It never waits: what
// cannot be kept is counted. values must not change afterwards.
func (s *Store) Add(at time.Time, values map[string]float64) {
	values, leftOut := bounded(values)
	p := Point{Step: FineStep, Time: at.Unix() - at.Unix()%FineStep, Values: values}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.LeftOut += uint64(leftOut)
	if len(values) == 0 {
		return
	}
	select {
	case s.points <- p:
	default:
		s.state.Lost++
	}
}

// State tells how the store does.
func (s *Store) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Close writes what waits and closes the file. It may be called again.
func (s *Store) Close() {
	s.cancel()
	<-s.ended
}

// run is the writer.
func (s *Store) run() {
	defer close(s.ended)
	defer s.close()
	s.note(s.inherit())
	close(s.opened)
	for {
		select {
		case p := <-s.points:
			s.add(p)
		case i := <-s.imports:
			i.done <- s.put(i.points)
		case <-s.ctx.Done():
			for len(s.points) > 0 {
				s.add(<-s.points)
			}
			return
		}
	}
}

// open opens the file unless it is open. A broken one is moved aside.
func (s *Store) open() error {
	if s.file() != nil {
		return nil
	}
	db, file, err := openFile(s.options.Path, s.options.MaxBytes)
	if errors.Is(err, errBroken) {
		to, moved := moveAside(s.options.Path)
		if moved != nil {
			return errors.Join(err, moved)
		}
		s.options.Logger.Warn("the file of the history is broken and was moved aside; a new one begins", "moved_to", to, "error", err)
		db, file, err = openFile(s.options.Path, s.options.MaxBytes)
	}
	if err != nil {
		return err
	}
	s.handle = file
	s.setFile(db)
	return nil
}

// inherit opens the file as soon as the process before this one has closed it.
func (s *Store) inherit() error {
	for {
		err := s.open() // which waits a moment itself
		if s.options.Before == nil || !errors.Is(err, errInUse) {
			return err
		}
		select {
		case <-s.options.Before:
			return s.open()
		case <-s.ctx.Done():
			return nil
		default:
		}
	}
}

func (s *Store) close() {
	if db := s.file(); db != nil {
		s.setFile(nil)
		_ = guarded(db.Close) // every point is on the disk already
	}
}

// abandon gives up a file that broke while it was open. It is looked at when it is
// opened again. The database may have panicked with its locks held, so it is not
// closed, which would wait for them: only its file is. The file's lock would stay
// as long as it is mapped.
func (s *Store) abandon() {
	s.setFile(nil)
	_ = unix.Flock(int(s.handle.Fd()), unix.LOCK_UN)
	_ = s.handle.Close()
}

func (s *Store) file() *bbolt.DB {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.db
}

func (s *Store) setFile(db *bbolt.DB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db = db
}

// add writes a point and its minute.
func (s *Store) add(p Point) {
	s.note(s.write(func(tx *bbolt.Tx) error {
		if err := put(tx, p.Step, p.Time, p.Values); err != nil {
			return err
		}
		return refreshMinute(tx, p.Time)
	}))
}

// put writes points from outside over those that are there, series by series.
func (s *Store) put(points []Point) error {
	return s.write(func(tx *bbolt.Tx) error {
		for i := range points {
			p := &points[i]
			values, err := get(tx, p.Step, p.Time)
			if err != nil {
				return err
			}
			if values == nil {
				values = make(map[string]float64, len(p.Values))
			}
			for name, value := range p.Values {
				values[name] = value
			}
			values, _ = bounded(values)
			if err := put(tx, p.Step, p.Time, values); err != nil {
				return err
			}
		}
		return nil
	})
}

// write changes the file whole or not at all.
func (s *Store) write(change func(*bbolt.Tx) error) error {
	if err := s.open(); err != nil {
		return err
	}
	err := guarded(func() error {
		return s.file().Update(func(tx *bbolt.Tx) error {
			// First: what is given back here is used by the change after the next.
			if err := prune(tx, s.options.Now()); err != nil {
				return err
			}
			return change(tx)
		})
	})
	if errors.Is(err, errBroken) || errors.Is(err, errBrokenValues) {
		s.abandon()
	}
	return err
}

// note counts a point that was lost, and tells of the first and of the end. On a
// full disk some points find room and others do not: that is told once.
func (s *Store) note(err error) {
	s.mu.Lock()
	s.state.Trouble = ""
	if err != nil {
		s.state.Trouble = err.Error()
		s.state.Lost++
	}
	s.mu.Unlock()
	switch {
	case err != nil && !s.told:
		s.told = true
		s.options.Logger.Warn("no history is kept", "path", s.options.Path, "error", err)
	case err == nil && s.told && s.kept+1 == calmPoints:
		s.told = false
		s.options.Logger.Info("the history goes on", "path", s.options.Path)
	}
	if s.kept++; err != nil {
		s.kept = 0
	}
}

// Import keeps points from outside, replacing values of the same series and time.
// It returns how many were older than what is kept. The points must have passed
// Check.
func (s *Store) Import(ctx context.Context, points []Point) (expired int, err error) {
	now := s.options.Now()
	kept := make([]Point, 0, len(points))
	for _, p := range points {
		if p.Time < now.Add(-keptFor(p.Step)).Unix() {
			expired++
			continue
		}
		kept = append(kept, p)
	}
	for len(kept) > 0 {
		n := min(len(kept), maxChunk)
		i := importing{kept[:n], make(chan error, 1)}
		select {
		case s.imports <- i:
		case <-ctx.Done():
			return expired, ctx.Err()
		case <-s.ctx.Done():
			return expired, ErrUnavailable
		}
		if err := <-i.done; err != nil {
			return expired, err
		}
		kept = kept[n:]
	}
	return expired, nil
}

// Each calls yield for the points of a step from a time to another, both
// included, in their order, until it returns an error. No file is held while it
// runs.
func (s *Store) Each(ctx context.Context, step int64, from, to time.Time, yield func(*Point) error) error {
	return s.each(ctx, step, from, to, nil, yield)
}

// EachOf is Each with no other series than those that are named. A month of a node
// with 20 apps takes it a tenth of the time.
func (s *Store) EachOf(ctx context.Context, step int64, from, to time.Time, names []string, yield func(*Point) error) error {
	only := make(map[string]string, len(names))
	for _, name := range names {
		only[name] = name
	}
	return s.each(ctx, step, from, to, only, yield)
}

func (s *Store) each(ctx context.Context, step int64, from, to time.Time, only map[string]string, yield func(*Point) error) error {
	next, end := max(from.Unix(), 0), to.Unix()
	if buckets[step] == nil {
		return ErrUnavailable
	}
	select {
	case <-s.opened:
	case <-ctx.Done():
		return ctx.Err()
	}
	for next <= end {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk, err := s.chunk(step, next, end, only)
		if err != nil {
			return err
		}
		for i := range chunk {
			if err := yield(&chunk[i]); err != nil {
				return err
			}
		}
		if len(chunk) < maxChunk {
			return nil
		}
		next = chunk[len(chunk)-1].Time + 1
	}
	return nil
}

func (s *Store) chunk(step, from, to int64, only map[string]string) (points []Point, err error) {
	db := s.file()
	if db == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnavailable, s.State().Trouble)
	}
	err = guarded(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(buckets[step]).Cursor()
			for key, value := c.Seek(keyOf(from)); key != nil && timeOf(key) <= to && len(points) < maxChunk; key, value = c.Next() {
				values, err := readSome(value, only)
				if err != nil {
					return err
				}
				points = append(points, Point{Step: step, Time: timeOf(key), Values: values})
			}
			return nil
		})
	})
	return points, err
}
