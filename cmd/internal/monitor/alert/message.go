package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// States of a message.
const (
	firing   = "firing"
	resolved = "resolved"
)

// Message tells that an alert begins or ends. As JSON it is what a webhook gets.
type Message struct {
	Alert     string    `json:"alert"`
	State     string    `json:"state"` // "firing" or "resolved"
	Metric    string    `json:"metric"`
	Value     float64   `json:"value"`
	Threshold float64   `json:"threshold"`
	Below     bool      `json:"below"` // bad is below the threshold
	Node      string    `json:"node"`
	At        time.Time `json:"at"`
}

// Title is the message in a line.
func (m *Message) Title() string {
	return fmt.Sprintf("[%s] %s on %s", m.State, printable(m.Alert), m.Node)
}

// Text is what happened.
func (m *Message) Text() string {
	than := "above"
	if m.Below {
		than = "below"
	}
	text := fmt.Sprintf("%s is %s, %s the threshold of %s.", m.Metric, number(m.Value), than, number(m.Threshold))
	if m.State == resolved {
		text = fmt.Sprintf("%s is back at %s; the threshold is %s.", m.Metric, number(m.Value), number(m.Threshold))
	}
	return text
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// printable takes line breaks and the like from a name.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
