package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The two steps, in seconds, and how long their points are kept.
const (
	FineStep   = 10
	CoarseStep = 60

	FineFor   = 24 * time.Hour
	CoarseFor = 31 * 24 * time.Hour
)

// Bounds of a point.
const (
	MaxSeries    = 600 // the first in the order of their names are kept; a node has 542 at most
	MaxNameBytes = 512
)

// maxAhead is how far a point that is imported may lie in the future: as far as
// the clocks of two hosts may differ.
const maxAhead = time.Hour

// Point is the values of one step.
type Point struct {
	Step   int64              `json:"step_seconds"` // FineStep or CoarseStep
	Time   int64              `json:"time"`         // begin of the step, seconds since 1970, a multiple of Step
	Values map[string]float64 `json:"values"`       // by series; finite
}

// Check says what is wrong with a point from outside.
func (p *Point) Check(now time.Time) error {
	switch {
	case p.Step != FineStep && p.Step != CoarseStep:
		return fmt.Errorf("step_seconds is %d, want %d or %d", p.Step, FineStep, CoarseStep)
	case p.Time <= 0 || p.Time%p.Step != 0:
		return fmt.Errorf("time %d is not a multiple of %d", p.Time, p.Step)
	case p.Time > now.Add(maxAhead).Unix():
		return fmt.Errorf("time %d lies in the future", p.Time)
	case len(p.Values) == 0 || len(p.Values) > MaxSeries:
		return fmt.Errorf("%d values, want 1 to %d", len(p.Values), MaxSeries)
	}
	for name, value := range p.Values {
		if err := checkName(name); err != nil {
			return err
		}
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return fmt.Errorf("%s is %v, which is not finite", name, value)
		}
	}
	return nil
}

func checkName(name string) error {
	if name == "" || len(name) > MaxNameBytes {
		return fmt.Errorf("name of %d bytes, want 1 to %d", len(name), MaxNameBytes)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("name %q has characters that cannot be printed", name)
	}
	return nil
}

// keptFor is how long points of a step are kept.
func keptFor(step int64) time.Duration {
	if step == FineStep {
		return FineFor
	}
	return CoarseFor
}

// appendValues appends the values of a point as they lie in the file.
//
//	+-------------+------+-----------------------+  for each series, in the
//	| len uvarint | name | value, 8 bytes, IEEE  |  order of the names
//	+-------------+------+-----------------------+  (little endian)
func appendValues(dst []byte, values map[string]float64) []byte {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		dst = binary.AppendUvarint(dst, uint64(len(name)))
		dst = append(dst, name...)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(values[name]))
	}
	return dst
}

var errBrokenValues = errors.New("a point is broken")

// readValues is the inverse of appendValues. It keeps nothing of src.
func readValues(src []byte) (map[string]float64, error) { return readSome(src, nil) }

// readSome is readValues of the series in only, which has each name as key and value;
// nil means all.
func readSome(src []byte, only map[string]string) (map[string]float64, error) {
	values := make(map[string]float64)
	for len(src) > 0 {
		n, used := binary.Uvarint(src)
		if used <= 0 || n > MaxNameBytes || len(src) < used+int(n)+8 {
			return nil, errBrokenValues
		}
		src = src[used:]
		value := math.Float64frombits(binary.LittleEndian.Uint64(src[n:]))
		if only == nil {
			values[string(src[:n])] = value
		} else if name, wanted := only[string(src[:n])]; wanted {
			values[name] = value // and no copy of the name is made
		}
		src = src[n+8:]
	}
	return values, nil
}

// mean is the mean of each series over the points that have it.
func mean(points []map[string]float64) map[string]float64 {
	sums, counts := make(map[string]float64), make(map[string]float64)
	for _, p := range points {
		for name, value := range p {
			sums[name] += value
			counts[name]++
		}
	}
	for name := range sums {
		// Halves of the largest numbers may add up to infinity.
		if sums[name] /= counts[name]; math.IsInf(sums[name], 0) || math.IsNaN(sums[name]) {
			delete(sums, name)
		}
	}
	return sums
}

// bounded leaves out what is too much, and says how many series that are.
func bounded(values map[string]float64) (kept map[string]float64, leftOut int) {
	kept = make(map[string]float64, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if len(kept) == MaxSeries || checkName(name) != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			leftOut++
			continue
		}
		kept[name] = value
	}
	return kept, leftOut
}
