package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// begin is a full hour.
var begin = time.Unix(1_700_002_800, 0)

// clock is set by tests.
type clock struct{ seconds atomic.Int64 }

func (c *clock) now() time.Time { return begin.Add(time.Duration(c.seconds.Load()) * time.Second) }

func newStore(t *testing.T, o Options) (*Store, *clock) {
	t.Helper()
	c := &clock{}
	o.Now = c.now
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "history.db")
	}
	s := Open(o)
	t.Cleanup(s.Close)
	return s, c
}

// settle returns when the writer has done everything that was asked before.
func settle(t *testing.T, s *Store) {
	t.Helper()
	for len(s.points) > 0 {
		settled(t, s)
	}
	settled(t, s)
}

func settled(t *testing.T, s *Store) {
	t.Helper()
	done := make(chan error, 1)
	s.imports <- importing{nil, done}
	<-done
}

// all returns every point of a step.
func all(t *testing.T, s *Store, step int64) (points []Point) {
	t.Helper()
	err := s.Each(t.Context(), step, time.Unix(0, 0), begin.Add(1000*time.Hour), func(p *Point) error {
		points = append(points, *p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func (s *Store) addAt(t *testing.T, c *clock, seconds int64, values map[string]float64) {
	t.Helper()
	c.seconds.Store(seconds)
	s.Add(c.now(), values)
	settle(t, s)
}

func TestMinutesAreTheMeanOfTheirPoints(t *testing.T) {
	s, c := newStore(t, Options{})
	for i, v := range []float64{10, 20, 30, 40, 50, 60, 100} {
		s.addAt(t, c, int64(i)*FineStep+3, map[string]float64{"connections": v})
	}
	if got := all(t, s, FineStep); len(got) != 7 || got[1].Time != begin.Unix()+10 || got[1].Values["connections"] != 20 {
		t.Errorf("fine points are %v", got)
	}
	want := []Point{
		{CoarseStep, begin.Unix(), map[string]float64{"connections": 35}},
		{CoarseStep, begin.Unix() + 60, map[string]float64{"connections": 100}},
	}
	if got := all(t, s, CoarseStep); !reflect.DeepEqual(got, want) {
		t.Errorf("coarse points are %v, want %v", got, want)
	}
}

func TestHistorySurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "history.db")
	for i := range int64(3) {
		s, c := newStore(t, Options{Path: path})
		c.seconds.Store(i * FineStep)
		s.Add(c.now(), map[string]float64{"connections": float64(i)})
		s.Close() // what waits is written
	}
	s, _ := newStore(t, Options{Path: path})
	settle(t, s)
	if got := all(t, s, CoarseStep); len(all(t, s, FineStep)) != 3 || len(got) != 1 || got[0].Values["connections"] != 1 {
		t.Errorf("after three restarts the minute is %v", got)
	}
}

// TestSuccessorWaitsForTheFile has two processes of a restart: nothing is lost, and
// nobody is told that anything is.
func TestSuccessorWaitsForTheFile(t *testing.T) {
	first, c := newStore(t, Options{})
	first.addAt(t, c, 0, map[string]float64{"connections": 1})
	var log bytes.Buffer
	o := Options{Path: first.options.Path, Before: make(chan struct{}), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	next, c := newStore(t, o)
	c.seconds.Store(FineStep)
	next.Add(c.now(), map[string]float64{"connections": 2})
	first.Close()
	settle(t, next)
	if got := all(t, next, FineStep); len(got) != 2 || got[0].Values["connections"] != 1 || got[1].Values["connections"] != 2 {
		t.Errorf("the points are %v", got)
	}
	if state := next.State(); state.Lost != 0 || state.Trouble != "" {
		t.Errorf("the state is %+v", state)
	}
	next.Close()
	if log.Len() > 0 {
		t.Errorf("it said %s", &log)
	}

	// Whoever has the file when the process before is gone is somebody else.
	other, _ := newStore(t, Options{Path: first.options.Path})
	settle(t, other)
	gone := make(chan struct{})
	close(gone)
	o.Before = gone
	next, _ = newStore(t, o)
	settle(t, next)
	next.Close()
	if state := next.State(); state.Lost != 1 || !strings.Contains(log.String(), "another server uses the file") {
		t.Errorf("the state is %+v, it said %s", state, &log)
	}
}

func TestOldPointsGo(t *testing.T) {
	s, c := newStore(t, Options{})
	day, month := int64(FineFor/time.Second), int64(CoarseFor/time.Second)
	for _, at := range []int64{0, 60, day, day + 60, day + 120} {
		s.addAt(t, c, at, map[string]float64{"x": 1})
	}
	if got := all(t, s, FineStep); len(got) != 3 || got[0].Time != begin.Unix()+day {
		t.Errorf("after a day: %v", got)
	}
	if got := len(all(t, s, CoarseStep)); got != 5 {
		t.Errorf("after a day %d minutes, want 5", got)
	}
	s.addAt(t, c, month+61, map[string]float64{"x": 1})
	if got := all(t, s, CoarseStep); len(got) != 4 || got[0].Time != begin.Unix()+day {
		t.Errorf("after a month: %v", got)
	}
}

func TestABrokenFileIsMovedAside(t *testing.T) {
	make100 := func(t *testing.T) string {
		t.Helper()
		s, c := newStore(t, Options{})
		for i := range int64(100) {
			s.addAt(t, c, i*FineStep, map[string]float64{"connections": 1, strings.Repeat("x", 300): 2})
		}
		s.Close()
		return s.options.Path
	}
	for _, row := range []struct {
		name    string
		destroy func(text []byte) []byte
	}{
		{"text", func([]byte) []byte { return []byte(strings.Repeat("hello ", 2000)) }},
		{"one byte", func([]byte) []byte { return []byte{1} }},
		{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"cut behind its head", func(b []byte) []byte { return b[:4*os.Getpagesize()] }},
		{"cut within a page", func(b []byte) []byte { return b[:4*os.Getpagesize()+100] }},
		{"pages of zeros", func(b []byte) []byte { clear(b[2*os.Getpagesize():]); return b }},
		{"pages of noise", func(b []byte) []byte {
			for i := 2 * os.Getpagesize(); i < len(b); i++ {
				b[i] = byte(i * 7)
			}
			return b
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := make100(t)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = row.destroy(text)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			s, c := newStore(t, Options{Path: path})
			s.addAt(t, c, 0, map[string]float64{"connections": 7})
			if got := all(t, s, FineStep); len(got) != 1 || got[0].Values["connections"] != 7 {
				t.Errorf("the new file has %d points", len(got))
			}
			if state := s.State(); state.Trouble != "" || state.Lost != 0 {
				t.Errorf("state is %+v", state)
			}
			if aside, err := os.ReadFile(path + brokenSuffix); err != nil || !bytes.HasPrefix(aside, text[:1]) {
				t.Errorf("moved aside are %d bytes: %v", len(aside), err)
			}
		})
	}
}

func TestAFileThatIsCutWhileItIsOpenStopsNothing(t *testing.T) {
	s, c := newStore(t, Options{})
	for i := range int64(100) {
		s.addAt(t, c, i*FineStep, map[string]float64{"connections": 1, strings.Repeat("x", 300): 2})
	}
	if err := os.Truncate(s.options.Path, 4*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	err := s.Each(t.Context(), FineStep, time.Unix(0, 0), begin.Add(time.Hour), func(*Point) error { return nil })
	if err == nil {
		t.Error("reading what is gone is no error")
	}
	for i := range int64(3) {
		s.addAt(t, c, (100+i)*FineStep, map[string]float64{"connections": 2})
	}
	if state := s.State(); state.Lost == 0 || state.Trouble != "" {
		t.Errorf("state is %+v", state)
	}
	if got := all(t, s, FineStep); len(got) == 0 || got[0].Values["connections"] != 2 {
		t.Errorf("the new file has %d points", len(got))
	}
}

func TestAFullDiskLosesPointsAndTellsOnce(t *testing.T) {
	log := &countingLog{}
	s, c := newStore(t, Options{Logger: slog.New(log)})
	s.addAt(t, c, 0, map[string]float64{"x": 1})
	long := map[string]float64{}
	for i := range 20 {
		long[fmt.Sprint(i)+strings.Repeat("x", 500)] = 1
	}
	grow := func(to int64, ended func() bool) {
		for i := c.seconds.Load()/FineStep + 1; i < to && !ended(); i++ {
			s.addAt(t, c, i*FineStep, long)
		}
	}
	// The kernel refuses to let files grow beyond the limit, as a full disk does.
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	full := was
	full.Cur = 1 << 20
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	grow(2000, func() bool { return s.State().Lost >= 3 })
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if state := s.State(); state.Lost < 3 || !strings.Contains(state.Trouble, "file too large") || log.warnings.Load() != 1 {
		t.Errorf("state is %+v after %d warnings", state, log.warnings.Load())
	}
	before := len(all(t, s, FineStep))
	grow(c.seconds.Load()/FineStep+4, func() bool { return false })
	if got := len(all(t, s, FineStep)); got != before+3 || s.State().Trouble != "" {
		t.Errorf("with room again there are %d points, want %d; state is %+v", got, before+3, s.State())
	}
}

// countingLog counts warnings.
type countingLog struct {
	slog.Handler
	warnings atomic.Int64
}

func (*countingLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *countingLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		l.warnings.Add(1)
	}
	return nil
}

func TestAFileAtItsLimitLosesPoints(t *testing.T) {
	s, c := newStore(t, Options{MaxBytes: 256 << 10})
	var state State
	for i := int64(0); state.Lost == 0 && i < 2000; i++ {
		s.addAt(t, c, i*FineStep, map[string]float64{strings.Repeat("x", 500): 1, strings.Repeat("z", 500): 1, "y": float64(i)})
		state = s.State()
	}
	if state.Lost == 0 || state.Trouble == "" {
		t.Fatalf("state is %+v", state)
	}
	before := len(all(t, s, FineStep))
	if before < 50 {
		t.Errorf("%d points are there still", before)
	}
	// A day later the old ones make room.
	s.addAt(t, c, 2*int64(FineFor/time.Second), nil) // the clock alone
	for i := range int64(5) {
		s.addAt(t, c, 2*int64(FineFor/time.Second)+i*FineStep, map[string]float64{"y": 1})
	}
	if state := s.State(); state.Trouble != "" {
		t.Errorf("state is %+v", state)
	}
}

func TestAFileThatCannotBeUsedStopsNothing(t *testing.T) {
	taken, _ := newStore(t, Options{})
	settle(t, taken)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, path, says string }{
		{"used by another server", taken.options.Path, "another server"},
		{"below a file", filepath.Join(file, "history.db"), "not a directory"},
		{"a folder", t.TempDir(), "is a directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, c := newStore(t, Options{Path: row.path})
			s.addAt(t, c, 0, map[string]float64{"x": 1})
			if state := s.State(); !strings.Contains(state.Trouble, row.says) || state.Lost == 0 {
				t.Errorf("state is %+v, want trouble with %q", state, row.says)
			}
			if err := s.Each(t.Context(), FineStep, begin, begin, nil); !errors.Is(err, ErrUnavailable) {
				t.Errorf("reading: %v", err)
			}
			if _, err := os.Stat(row.path + brokenSuffix); err == nil {
				t.Error("it was moved aside")
			}
		})
	}
	if got := taken.State(); got.Trouble != "" {
		t.Errorf("the first server has trouble: %+v", got)
	}
}

func TestAddNeverWaits(t *testing.T) {
	s, _ := newStore(t, Options{})
	s.Close() // nobody takes points any more
	for i := range int64(maxWaiting + 5) {
		s.Add(begin.Add(time.Duration(i)*FineStep*time.Second), map[string]float64{"x": 1})
	}
	if got := s.State().Lost; got != 5 {
		t.Errorf("%d points are lost, want 5", got)
	}
	if _, err := s.Import(t.Context(), []Point{{FineStep, begin.Unix(), map[string]float64{"x": 1}}}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("import: %v", err)
	}
}

func TestTooManySeriesAreLeftOutAndCounted(t *testing.T) {
	s, c := newStore(t, Options{})
	values := map[string]float64{"nan": math.NaN(), "inf": math.Inf(1), strings.Repeat("n", MaxNameBytes+1): 1, "a\nb": 1, "": 1}
	for i := range MaxSeries + 3 {
		values[fmt.Sprintf("series-%04d", i)] = 1
	}
	s.addAt(t, c, 0, values)
	if got := all(t, s, FineStep)[0].Values; len(got) != MaxSeries || got["series-0000"] != 1 {
		t.Errorf("%d series are kept, want %d", len(got), MaxSeries)
	}
	if got := s.State().LeftOut; got != 8 {
		t.Errorf("%d are left out, want 8", got)
	}
}

func TestExportAndImportLoseNothing(t *testing.T) {
	from, c := newStore(t, Options{})
	for i := range int64(300) {
		from.addAt(t, c, i*FineStep, map[string]float64{
			"connections": float64(i) / 3, `1/custom/"odd", name`: math.MaxFloat64, "tiny": math.SmallestNonzeroFloat64, "minus": math.Copysign(0, -1), "ü": -1e300,
		})
	}
	for _, format := range []string{JSON, CSV} {
		t.Run(format, func(t *testing.T) {
			text := export(t, from, format)
			to, other := newStore(t, Options{})
			other.seconds.Store(c.seconds.Load())
			for range 2 { // the second time changes nothing
				load(t, to, text)
			}
			for _, step := range []int64{FineStep, CoarseStep} {
				if got, want := all(t, to, step), all(t, from, step); !reflect.DeepEqual(got, want) {
					t.Errorf("step %d: %d points, want %d, all alike", step, len(got), len(want))
				}
			}
			if again := export(t, to, format); again != text {
				t.Error("the export of the import is another one")
			}
		})
	}
}

func export(t *testing.T, s *Store, format string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, format)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int64{FineStep, CoarseStep} {
		for _, p := range all(t, s, step) {
			if err := w.Write(&p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func load(t *testing.T, s *Store, text string) {
	t.Helper()
	var points []Point
	err := Read(strings.NewReader(text), func(p *Point) error {
		points = append(points, *p)
		return p.Check(s.options.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	if expired, err := s.Import(t.Context(), points); err != nil || expired != 0 {
		t.Fatalf("expired %d, %v", expired, err)
	}
}

func TestImportKeepsWhatIsThere(t *testing.T) {
	s, c := newStore(t, Options{})
	s.addAt(t, c, 0, map[string]float64{"here": 1, "both": 1})
	old := Point{FineStep, begin.Add(-FineFor).Unix() - FineStep, map[string]float64{"x": 1}}
	expired, err := s.Import(t.Context(), []Point{{FineStep, begin.Unix(), map[string]float64{"both": 2, "there": 2}}, old})
	if err != nil || expired != 1 {
		t.Errorf("expired %d, %v", expired, err)
	}
	want := map[string]float64{"here": 1, "both": 2, "there": 2}
	if got := all(t, s, FineStep); len(got) != 1 || !reflect.DeepEqual(got[0].Values, want) {
		t.Errorf("got %v", got)
	}
}

func TestSeriesThatNobodyAskedForAreNotRead(t *testing.T) {
	s, c := newStore(t, Options{})
	values := make(map[string]float64)
	for i := range 100 {
		values[fmt.Sprintf("%d/messages_received", i)] = float64(i)
	}
	const points = 50
	for i := range int64(points) {
		s.addAt(t, c, i*FineStep, values)
	}
	want := map[string]float64{"7/messages_received": 7, "99/messages_received": 99}
	names := append(slices.Collect(maps.Keys(want)), "missing")
	read := func() {
		n := 0
		err := s.EachOf(t.Context(), FineStep, begin, c.now(), names, func(p *Point) error {
			if n++; !maps.Equal(p.Values, want) {
				t.Errorf("got %v, want %v", p.Values, want)
			}
			return nil
		})
		if err != nil || n != points {
			t.Errorf("got %d points, %v, want %d", n, err, points)
		}
	}
	// A month is 44,640 points, and a page that shows it asks for all of them.
	if got := testing.AllocsPerRun(10, read) / points; got > 10 {
		t.Errorf("got %.0f allocations a point, want no more than 10", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, row := range []struct{ name, text, says string }{
		{"another format", "hello\n", "line 1"},
		{"other columns", "a,b,c,d\n", "line 1"},
		{"broken JSON", `{"step_seconds":10,"time":1700002800,"values":{"a":1}}` + "\n{", "line 2"},
		{"a step that is none", `{"step_seconds":7,"time":1700002800,"values":{"a":1}}`, "step_seconds is 7"},
		{"a time between", `{"step_seconds":10,"time":1700002801,"values":{"a":1}}`, "not a multiple"},
		{"a time before all time", `{"step_seconds":10,"time":-10,"values":{"a":1}}`, "time -10"},
		{"the future", `{"step_seconds":10,"time":4000000000,"values":{"a":1}}`, "future"},
		{"no values", `{"step_seconds":10,"time":1700002800}`, "0 values"},
		{"a name of control characters", `{"step_seconds":10,"time":1700002800,"values":{"a\u0000":1}}`, "cannot be printed"},
		{"a long name", `{"step_seconds":10,"time":1700002800,"values":{"` + strings.Repeat("a", 513) + `":1}}`, "513 bytes"},
		{"a long line", `{"` + strings.Repeat("a", maxLineBytes) + `":1}`, "too long"},
		{"infinity", "step_seconds,time,series,value\n10,1700002800,a,Inf\n", "not finite"},
		{"no number", "step_seconds,time,series,value\n10,1700002800,a,x\n", "line 2"},
		{"a number cut short", "step_seconds,time,series,value\n10,1700002800,a,1\n10,1700002800,b,123", "line 3: the file is torn"},
		{"a record of three", "step_seconds,time,series,value\n10,1700002800,a\n", "wrong number of fields"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := Read(strings.NewReader(row.text), func(p *Point) error { return p.Check(begin) })
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %q", err, row.says)
			}
		})
	}
	if err := Read(strings.NewReader(""), nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"step_seconds":10,"time":1700002800,"values":{"a":1}}`)
	f.Add("step_seconds,time,series,value\n10,1700002800,a,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = Read(strings.NewReader(text), func(p *Point) error {
			if err := p.Check(begin); err != nil {
				return err
			}
			got, err := readValues(appendValues(nil, p.Values))
			if err != nil || !reflect.DeepEqual(got, p.Values) {
				t.Errorf("%v became %v: %v", p.Values, got, err)
			}
			return nil
		})
	})
}
