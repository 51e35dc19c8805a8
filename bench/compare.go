package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// ErrIncomparable means that two results are of different scenarios.
var ErrIncomparable = errors.New("results cannot be compared")

// maxResultBytes is the longest result file that is read.
const maxResultBytes = 256 << 20

// ReadResult reads a file written by Result.WriteJSON.
func ReadResult(path string) (Result, error) {
	file, err := os.Open(path)
	if err != nil {
		return Result{}, err
	}
	defer file.Close()
	var r Result
	if err := json.NewDecoder(io.LimitReader(file, maxResultBytes)).Decode(&r); err != nil {
		return Result{}, fmt.Errorf("read result %s: %w", path, err)
	}
	if r.Scenario == "" {
		return Result{}, fmt.Errorf("%s is no result: it names no scenario", path)
	}
	if r.Settings.Floor && r.Floor == "" {
		r.Floor = FloorGo // the only one there was before results said which
	}
	return r, nil
}

// Comparison sets two results of one scenario side by side.
type Comparison struct {
	Earlier, Later Result
	Differences    []string // between their machines, settings and floors
	Rows           []ComparedRow
}

// ComparedRow is one figure of both. A side that has none is nil.
type ComparedRow struct {
	Group          string // whose figure: subject and mode
	Name           string // with its unit
	Earlier, Later *float64
	HigherIsBetter bool
}

// Ratio returns later / earlier, and false where it means nothing.
func (c ComparedRow) Ratio() (float64, bool) {
	if c.Earlier == nil || c.Later == nil || *c.Earlier == 0 {
		return 0, false
	}
	return *c.Later / *c.Earlier, true
}

// Compare sets two results side by side. Those of different scenarios are refused with
// ErrIncomparable; everything else that differs is listed.
func Compare(earlier, later Result) (Comparison, error) {
	if earlier.Scenario != later.Scenario {
		return Comparison{}, fmt.Errorf("%w: scenario %s and scenario %s", ErrIncomparable, earlier.Scenario, later.Scenario)
	}
	c := Comparison{Earlier: earlier, Later: later}
	c.compareFields(earlier.Machine, later.Machine)
	c.compareFields(earlier.Settings, later.Settings)
	if earlier.Floor != later.Floor {
		c.differ("kind of floor", orNone(earlier.Floor), orNone(later.Floor))
	}
	c.Rows = sideBySide(earlier.figures(), later.figures())
	return c, nil
}

// sideBySide pairs the rows of two results: in the order of the later one, then what
// only the earlier one has.
func sideBySide(earlier, later []ComparedRow) []ComparedRow {
	rows := slices.Clone(later)
	for _, old := range earlier {
		same := func(r ComparedRow) bool { return r.Group == old.Group && r.Name == old.Name }
		if i := slices.IndexFunc(rows, same); i >= 0 {
			rows[i].Earlier = old.Later
			continue
		}
		old.Earlier, old.Later = old.Later, nil
		rows = append(rows, old)
	}
	return rows
}

// figures lists what can be compared of one result, as Later.
func (r Result) figures() []ComparedRow {
	var rows []ComparedRow
	add := func(group, name string, higher bool, value *float64) {
		if value != nil {
			rows = append(rows, ComparedRow{Group: group, Name: name, Later: value, HigherIsBetter: higher})
		}
	}
	for _, m := range r.Medians {
		group := m.Subject + " " + m.Mode
		add(group, r.OperationsName()+"/s", true, &m.PerSecond)
		add(group, "CPU us/op", false, m.CPUMicros)
		if l := m.Latency; l != nil {
			for _, q := range []struct {
				name  string
				value int64
			}{{"p50 us", l.P50}, {"p90 us", l.P90}, {"p99 us", l.P99}, {"max us", l.Max}} {
				value := float64(q.value)
				add(group, q.name, false, &value)
			}
		}
	}
	for _, m := range r.Memory {
		add(m.Subject+" memory", "bytes/connection", false, &m.BytesPerConnection)
		if m.KernelBytesPerConnection != 0 {
			add(m.Subject+" memory", "kernel bytes/connection", false, &m.KernelBytesPerConnection)
		}
	}
	for _, ratio := range r.Ratios {
		add("ratio", ratio.Name, strings.HasPrefix(ratio.Name, "rate"), &ratio.Median)
	}
	return rows
}

// compareFields lists the fields in which two values differ.
func (c *Comparison) compareFields(earlier, later any) {
	before, after := Fields(earlier), Fields(later)
	valueOf := func(fields []Field, name string) string {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
		if i < 0 {
			return "none"
		}
		return fields[i].Value
	}
	for i, f := range slices.Concat(before, after) {
		a, b := valueOf(before, f.Name), valueOf(after, f.Name)
		known := i >= len(before) && a != "none"
		if a != b && !known && !slices.Contains(ownFields, f.Name) {
			c.differ(f.Name, a, b)
		}
	}
}

// ownFields may differ between comparable results: where the server was.
var ownFields = []string{"spawn", "target"}

func (c *Comparison) differ(what, earlier, later string) {
	c.Differences = append(c.Differences, fmt.Sprintf("%s: %s, now %s", what, earlier, later))
}

// Field is a setting, or a fact about a machine, in words.
type Field struct{ Name, Value string }

// Fields returns the fields that v, a struct, has in JSON, in their order there.
func Fields(v any) []Field {
	var fields []Field
	text, err := json.Marshal(v)
	if err != nil {
		return nil // plain structs always marshal
	}
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token() // the brace
	for d.More() {
		name, _ := d.Token()
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fields
		}
		fields = append(fields, fieldOf(fmt.Sprint(name), strings.Trim(string(raw), `"`)))
	}
	return fields
}

func fieldOf(name, value string) Field {
	if short, isTime := strings.CutSuffix(name, "_nanos"); isTime {
		nanos, _ := strconv.ParseInt(value, 10, 64) // written from one
		name, value = short, time.Duration(nanos).String()
	}
	return Field{strings.ReplaceAll(name, "_", " "), value}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// WriteTable writes both results for people, side by side.
func (c Comparison) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s  earlier: commit %s, %s  later: commit %s, %s\n", c.Later.Scenario,
		c.Earlier.Commit, c.Earlier.Started.Format("2006-01-02 15:04"), c.Later.Commit, c.Later.Started.Format("2006-01-02 15:04"))
	for _, d := range c.Differences {
		fmt.Fprintf(t, "! not the same: %s\n", d)
	}
	fmt.Fprintln(t, "\n\tfigure\tearlier\tlater\tlater / earlier\t")
	group := ""
	for _, row := range c.Rows {
		shown := ""
		if row.Group != group {
			group, shown = row.Group, row.Group
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", shown, row.Name, figure(row.Earlier), figure(row.Later), ratioText(row.Ratio()))
	}
	return t.Flush()
}

func figure(v *float64) string {
	if v == nil {
		return "-"
	}
	return Number(*v)
}
