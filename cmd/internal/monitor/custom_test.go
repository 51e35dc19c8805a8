package monitor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestCustomMetricsAddUpOrStand(t *testing.T) {
	var m CustomMetrics
	at := time.Unix(1000, 0)
	for range 2 {
		err := m.Record(at, "1", []Custom{{Name: "orders", Kind: Counter, Value: 2}, {Name: "load", Kind: Gauge, Value: -1.5}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Record(at, "0", []Custom{{Name: "orders", Kind: Gauge, Value: 1}}); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(m.All())
	if want := "[{0 orders gauge 1} {1 load gauge -1.5} {1 orders counter 4}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s := Snapshot{Custom: m.All()}
	text := scrape(t, s, 0)
	for _, want := range []string{`resound_custom{app="1",name="load"} -1.5`, `resound_custom_total{app="1",name="orders"} 4`} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestCustomMetricsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name    string
		metrics []Custom
		says    string
	}{
		{"an empty name", []Custom{{Name: "", Kind: Gauge}}, "letters"},
		{"a long name", []Custom{{Name: strings.Repeat("a", 65), Kind: Gauge}}, "letters"},
		{"a digit first", []Custom{{Name: "1a", Kind: Gauge}}, "letters"},
		{"a path", []Custom{{Name: "../a", Kind: Gauge}}, "letters"},
		{"letters of others", []Custom{{Name: "ä", Kind: Gauge}}, "letters"},
		{"not a number", []Custom{{Name: "a", Kind: Gauge, Value: math.NaN()}}, "finite"},
		{"a counter that goes down", []Custom{{Name: "a", Kind: Counter, Value: -1}}, "below zero"},
		{"another kind than before", []Custom{{Name: "known", Kind: Gauge}}, "is a counter already"},
		{"two kinds at once", []Custom{{Name: "a", Kind: Gauge}, {Name: "a", Kind: Counter}}, "is a gauge already"},
		{"the second is wrong", []Custom{{Name: "a", Kind: Gauge}, {Name: "-", Kind: Gauge}}, "letters"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var m CustomMetrics
			at := time.Unix(1000, 0)
			if err := m.Record(at, "1", []Custom{{Name: "known", Kind: Counter, Value: 1}}); err != nil {
				t.Fatal(err)
			}
			if err := m.Record(at, "1", row.metrics); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %q", err, row.says)
			}
			if got := m.All(); len(got) != 1 || got[0].Value != 1 {
				t.Errorf("recorded are %v", got)
			}
		})
	}
}

func TestNamesOfCustomMetricsAreBounded(t *testing.T) {
	var m CustomMetrics
	at := time.Unix(1000, 0)
	fill := func(at time.Time, app string, n int) error {
		for i := range n {
			if err := m.Record(at, app, []Custom{{Name: fmt.Sprintf("a%d", i), Kind: Gauge}}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(at, "1", MaxCustomPerApp+1); err == nil || !strings.Contains(err.Error(), "an app may have 100") {
		t.Errorf("an app with many names: %v", err)
	}
	for _, app := range []string{"2", "3", "4"} {
		if err := fill(at, app, MaxCustomPerApp); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill(at, "5", 1); err == nil || !strings.Contains(err.Error(), "400 names of all apps") {
		t.Errorf("an app too many: %v", err)
	}
	if err := fill(at, "1", 1); err != nil {
		t.Errorf("a known name: %v", err)
	}
	if err := fill(at.Add(customFor+time.Second), "5", 1); err != nil {
		t.Errorf("a day later: %v", err)
	}
}
