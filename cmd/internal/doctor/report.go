package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Status is how a finding is meant.
type Status uint8

// The statuses.
const (
	OK      Status = iota
	Warning        // it will work, but not well, or not always
	Fault          // the connections cannot be reached
)

var statusNames = [...]string{OK: "ok", Warning: "warning", Fault: "fault"}

func (s Status) String() string { return statusNames[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is the outcome of one check.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Is     string `json:"is"`
	Want   string `json:"want"`
	Why    string `json:"why"`
	Fix    string `json:"fix,omitempty"` // "" when all is well
}

// Report is all findings, in the order of the checks.
type Report struct {
	Connections int       `json:"connections"`
	Findings    []Finding `json:"findings"`
}

// Count returns how many findings have this status.
func (r Report) Count(s Status) (n int) {
	for _, f := range r.Findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

// WriteJSON writes the report for programs.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteText writes the report for people.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "This host for %s connections:\n\n", group(int64(r.Connections)))
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %-8s %s: %s\n", f.Status, f.Check, f.Is)
		fmt.Fprintf(&b, "           want %s: %s\n", f.Want, f.Why)
		if f.Fix != "" {
			fmt.Fprintf(&b, "           fix: %s\n", f.Fix)
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %d warnings, %d faults\n", r.Count(OK), r.Count(Warning), r.Count(Fault))
	_, err := io.WriteString(w, b.String())
	return err
}

// group writes a number with commas between thousands.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// megabytes writes a number of bytes.
func megabytes(n int64) string { return group(n>>20) + " MB" }
