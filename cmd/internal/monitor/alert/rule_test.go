package alert

import (
	"fmt"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	exact := 50.0
	for _, row := range []struct {
		name   string
		rule   Rule
		values []float64 // ten seconds apart
		want   string    // where the alert begins and ends
	}{
		{"at once", Rule{Threshold: 100}, []float64{100, 101, 90}, ". + -"},
		{"no flapping around the threshold", Rule{Threshold: 100}, []float64{101, 99, 101, 99, 91, 90}, "+ . . . . -"},
		{"bad for long enough", Rule{Threshold: 100, For: 20 * time.Second}, []float64{101, 101, 101, 101}, ". . + ."},
		{"a break begins the time anew", Rule{Threshold: 100, For: 20 * time.Second}, []float64{101, 101, 100, 101, 101, 101}, ". . . . . +"},
		{"well for long enough", Rule{Threshold: 100, For: 10 * time.Second}, []float64{101, 101, 80, 95, 80, 80}, ". + . . . -"},
		{"a threshold of its own for the end", Rule{Threshold: 100, Clear: &exact}, []float64{101, 51, 50}, "+ . -"},
		{"below", Rule{Threshold: 10, Below: true}, []float64{10, 9, 10.5, 11}, ". + . -"},
		{"below for some time", Rule{Threshold: 10, Below: true, For: 10 * time.Second}, []float64{9, 9, 12, 12}, ". + . -"},
		{"above zero", Rule{Threshold: 0}, []float64{0, 1, 0}, ". + -"},
		{"below a negative number", Rule{Threshold: -10, Below: true}, []float64{-11, -9.5, -9}, "+ . -"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := watched{rule: row.rule}
			got := ""
			for i, v := range row.values {
				mark := "."
				if w.observe(time.Unix(int64(i)*10, 0), v) {
					mark = map[bool]string{true: "+", false: "-"}[w.active]
				}
				if i > 0 {
					got += " "
				}
				got += mark
			}
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestAReloadKeepsWhatIsActive(t *testing.T) {
	a := New(Options{})
	defer a.Close()
	rule := Rule{Name: "many", Metric: "connections", Threshold: 10}
	a.Set([]Rule{rule}, Channels{})
	a.Observe(time.Unix(10, 0), map[string]float64{"connections": 11})
	rule.Threshold = 5
	a.Set([]Rule{rule, {Name: "new", Metric: "channels"}}, Channels{})
	if got := a.States(); !got[0].Active || got[0].Threshold != 5 || *got[0].Value != 11 || got[1].Active || got[1].Value != nil {
		t.Errorf("states are %+v", got)
	}
	a.Observe(time.Unix(20, 0), map[string]float64{"channels": 0}) // connections are missing
	if !a.States()[0].Active {
		t.Error("a missing figure ended the alert")
	}
	rule.Metric = "cpu_percent"
	a.Set([]Rule{rule}, Channels{})
	if a.States()[0].Active {
		t.Error("another metric is active from the start")
	}
}

func TestMessages(t *testing.T) {
	m := Message{Alert: "a\r\nBcc: x", State: firing, Metric: "connections", Value: 1234.5, Threshold: 1000, Node: "ws1"}
	if got, want := m.Title()+"|"+m.Text(), "[firing] a  Bcc: x on ws1|connections is 1234.5, above the threshold of 1000."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.State, m.Below = resolved, true
	if got, want := fmt.Sprint(m.Text()), "connections is back at 1234.5; the threshold is 1000."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
