package report

import (
	"fmt"
	"slices"
	"strconv"

	"resound/bench"
)

// column is one bar of a group.
type column struct {
	class, name string
	value       float64
}

// group is bars that stand together over one label.
type group struct {
	label   string
	columns []column
}

// throughputCharts draws the rate of each round of each mode, server beside floor.
func throughputCharts(r bench.Result) []chart {
	var charts []chart
	for _, mode := range modesOf(r) {
		var groups []group
		for _, round := range r.Rounds {
			if round.Mode != mode || round.PerSecond == 0 {
				continue
			}
			label := strconv.Itoa(round.Number)
			i := slices.IndexFunc(groups, func(g group) bool { return g.label == label })
			if i < 0 {
				groups = append(groups, group{label: label})
				i = len(groups) - 1
			}
			groups[i].columns = append(groups[i].columns, column{colorOf(round.Subject), round.Subject, round.PerSecond})
		}
		if len(groups) > 0 {
			charts = append(charts, barChart("Throughput, "+mode, "round", r.OperationsName()+"/s", groups))
		}
	}
	return charts
}

// memoryChart draws bytes per connection.
func memoryChart(r bench.Result, earlier *bench.Result) []chart {
	if len(r.Memory) == 0 {
		return nil
	}
	var groups []group
	for _, m := range r.Memory {
		groups = append(groups, group{m.Subject, []column{{colorOf(m.Subject), m.Subject, m.BytesPerConnection}}})
	}
	if earlier != nil {
		for _, m := range earlier.Memory {
			if m.Subject == bench.SubjectServer {
				groups = append(groups, group{"server, earlier", []column{{"earlier", "server, earlier", m.BytesPerConnection}}})
			}
		}
	}
	c := barChart("Resident memory", "", "bytes per connection", groups)
	c.Legend = nil // the labels say it
	return []chart{c}
}

const (
	barGap      = 2.0
	maxBarWidth = 64.0

	// groupShare is how much of a group's room its bars take.
	groupShare = 0.7

	// labelledBars is up to how many bars have their value above them.
	labelledBars = 4
)

func barChart(title, xLabel, yLabel string, groups []group) chart {
	c := chart{Title: title, XLabel: xLabel, YLabel: yLabel}
	high, widest, bars := 0.0, 1, 0
	for _, g := range groups {
		widest = max(widest, len(g.columns))
		bars += len(g.columns)
		for _, b := range g.columns {
			high = max(high, b.value)
		}
	}
	y, ticks := evenAxis(high, c.Bottom(), c.Top(), bench.Plain)
	c.YTicks = ticks
	room := (c.Right() - c.Left()) / float64(len(groups))
	width := min(room*groupShare/float64(widest)-barGap, maxBarWidth)
	for i, g := range groups {
		middle := c.Left() + room*(float64(i)+0.5)
		c.XTicks = append(c.XTicks, tick{round1(middle), g.label})
		left := middle - float64(len(g.columns))*(width+barGap)/2
		for j, b := range g.columns {
			top := y.at(b.value)
			drawn := bar{
				Class: b.class, X: round1(left + float64(j)*(width+barGap)), Y: round1(top),
				Width: round1(max(width, 1)), Height: round1(c.Bottom() - top),
				Text: fmt.Sprintf("%s %s, %s: %s", xLabel, g.label, b.name, bench.Number(b.value)),
			}
			if bars <= labelledBars {
				drawn.Label = bench.Number(b.value)
			}
			c.Bars = append(c.Bars, drawn)
			c.addKey(b.class, b.name)
		}
	}
	return c
}
