package history

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Formats of an export.
const (
	JSON = "json" // a point a line
	CSV  = "csv"  // a value a line, below a line with the names of the columns
)

// maxLineBytes bounds a line of JSON: the largest point, with every character of
// its names escaped, is less.
const maxLineBytes = 4 << 20

var csvColumns = []string{"step_seconds", "time", "series", "value"}

// Writer writes points in a format. Floats are written so that they are read back
// as they are.
type Writer struct {
	json   *json.Encoder
	csv    *csv.Writer
	buffer *bufio.Writer
}

// NewWriter returns a writer for a format.
func NewWriter(w io.Writer, format string) (*Writer, error) {
	b := bufio.NewWriter(w)
	switch format {
	case JSON, "":
		return &Writer{json: json.NewEncoder(b), buffer: b}, nil
	case CSV:
		c := csv.NewWriter(b)
		return &Writer{csv: c, buffer: b}, c.Write(csvColumns)
	}
	return nil, fmt.Errorf("format %q is not known: want json or csv", format)
}

// Write writes a point.
func (w *Writer) Write(p *Point) error {
	if w.json != nil {
		return w.json.Encode(p)
	}
	step, at := strconv.FormatInt(p.Step, 10), strconv.FormatInt(p.Time, 10)
	for _, name := range slices.Sorted(maps.Keys(p.Values)) {
		if err := w.csv.Write([]string{step, at, name, strconv.FormatFloat(p.Values[name], 'g', -1, 64)}); err != nil {
			return err
		}
	}
	return nil
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.csv != nil {
		w.csv.Flush()
		if err := w.csv.Error(); err != nil {
			return err
		}
	}
	return w.buffer.Flush()
}

// Read calls yield for each point of an export, whichever format it is in. Errors
// name the line.
func Read(r io.Reader, yield func(*Point) error) error {
	b := bufio.NewReader(r)
	first, err := b.Peek(1)
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	case first[0] == '{':
		return readJSON(b, yield)
	}
	return readCSV(b, yield)
}

func readJSON(r io.Reader, yield func(*Point) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLineBytes)
	for line := 1; scanner.Scan(); line++ {
		var p Point
		if err := json.Unmarshal(scanner.Bytes(), &p); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if err := yield(&p); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	return scanner.Err()
}

func readCSV(r io.Reader, yield func(*Point) error) error {
	source := &counted{Reader: r}
	c := csv.NewReader(source)
	c.FieldsPerRecord = len(csvColumns)
	c.ReuseRecord = true
	head, err := c.Read()
	if err != nil {
		return err
	}
	if !slices.Equal(head, csvColumns) {
		return fmt.Errorf("line 1: neither a line of JSON nor the columns %s", strings.Join(csvColumns, ","))
	}
	var p Point
	give := func(line int) error {
		if p.Values == nil {
			return nil
		}
		if err := yield(&p); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		return nil
	}
	line := 1
	for {
		record, err := c.Read()
		if err == io.EOF {
			return give(line)
		}
		if err != nil {
			return err
		}
		step, at, value, err := parseRecord(record)
		if err == nil && (p.Values == nil || step != p.Step || at != p.Time) {
			err = give(line)
			p = Point{Step: step, Time: at, Values: make(map[string]float64)}
		}
		line, _ = c.FieldPos(0)
		if err == nil && source.isTorn(c.InputOffset()) {
			err = errTorn
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if p.Values[record[2]] = value; len(p.Values) > MaxSeries {
			return fmt.Errorf("line %d: more than %d values of one time", line, MaxSeries)
		}
	}
}

// errTorn says that a file ends in mid-line. What is left of a number is a number
// too, but another one.
var errTorn = errors.New("the file is torn: its last line has no end")

// counted is a reader that remembers where it ended, and with what.
type counted struct {
	io.Reader
	n    int64
	last byte
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 {
		c.n, c.last = c.n+int64(n), b[n-1]
	}
	return n, err
}

// isTorn reports whether a line that ends at an offset has no end.
func (c *counted) isTorn(offset int64) bool { return offset == c.n && c.last != '\n' }

func parseRecord(record []string) (step, at int64, value float64, err error) {
	if step, err = strconv.ParseInt(record[0], 10, 64); err != nil {
		return
	}
	if at, err = strconv.ParseInt(record[1], 10, 64); err != nil {
		return
	}
	value, err = strconv.ParseFloat(record[3], 64)
	return
}
