package monitor

import (
	"strings"
	"testing"

	"resound/channels/cluster"
)

func TestFiguresCrossNodes(t *testing.T) {
	f := Figures{
		Address: "ws1:8080", PID: 7, Version: "1.2.3", State: StateDraining, Uptime: 1.5, Connections: 1 << 40, Channels: 2,
		Received: 0.25, Sent: 1e6, CPU: 99.5, MemoryBytes: 1 << 50, Lag: 0.001,
	}
	text, err := f.Description()
	if err != nil {
		t.Fatal(err)
	}
	if got := ReadFigures(text); got == nil || *got != f {
		t.Errorf("got %+v, want %+v", got, f)
	}
	// As long as they get: names of hosts have 64 bytes.
	f.Address, f.Version = strings.Repeat("h", 64)+":65535", strings.Repeat("v", 200)
	if text, err := f.Description(); err != nil || cluster.CheckDescription(text) != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestFiguresOfOtherVersions(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       *Figures
	}{
		{"more than is known", `{"address":"a","connections":3,"mood":"good","list":[{}]}`, &Figures{Address: "a", Connections: 3}},
		{"less than is known", `{"address":"a"}`, &Figures{Address: "a"}},
		{"nothing yet", ``, nil},
		{"no address", `{"connections":3}`, nil},
		{"another type", `{"address":"a","connections":"many"}`, nil},
		{"no number", `{"address":"a","cpu_percent":1e999}`, nil},
		{"no JSON", "\x00\xff", nil},
		{"another value", `[1]`, nil},
		{"long texts", `{"address":"` + strings.Repeat("x", 1000) + `"}`, &Figures{Address: strings.Repeat("x", maxFigureText)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ReadFigures(row.text)
			if (got == nil) != (row.want == nil) || got != nil && *got != *row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}
