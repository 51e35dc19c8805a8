package report

import (
	"fmt"
	"slices"

	"resound/bench"
)

// seriesCharts draws the values over time: one chart for each name, with all its
// subjects.
func seriesCharts(r bench.Result) []chart {
	var groups [][]bench.Series
	for _, s := range r.Series {
		if len(s.Points) == 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(g []bench.Series) bool { return g[0].Name == s.Name && g[0].Unit == s.Unit })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], s)
	}
	charts := make([]chart, len(groups))
	for i, g := range groups {
		charts[i] = seriesChart(g)
	}
	return charts
}

func seriesChart(all []bench.Series) chart {
	c := chart{Title: capital(all[0].Name) + " over time", XLabel: "seconds since the start", YLabel: all[0].Unit}
	end, high := 0.0, 0.0
	for _, s := range all {
		for _, p := range s.Points {
			end, high = max(end, p.Seconds), max(high, p.Value)
		}
	}
	unit, divisor := scaled(all[0].Unit, high)
	c.YLabel = unit
	x, xTicks := evenAxis(end, c.Left(), c.Right(), bench.Plain)
	y, yTicks := evenAxis(high/divisor, c.Bottom(), c.Top(), bench.Plain)
	c.XTicks, c.YTicks = xTicks, yTicks
	for _, s := range all {
		spots := make([]spot, len(s.Points))
		for i, p := range s.Points {
			spots[i] = spot{
				X: round1(x.at(p.Seconds)), Y: round1(y.at(p.Value / divisor)),
				Text: fmt.Sprintf("%s at %.1f s: %s %s", s.Subject, p.Seconds, bench.Number(p.Value/divisor), unit),
			}
		}
		c.Lines = append(c.Lines, line{Class: colorOf(s.Subject), Path: path(spots), Spots: thinned(spots, maxMarks)})
		c.addKey(colorOf(s.Subject), s.Subject)
	}
	return c
}

// scaled turns large numbers of bytes into MiB.
func scaled(unit string, high float64) (string, float64) {
	const mebibyte = 1 << 20
	if unit == "bytes" && high >= mebibyte {
		return "MiB", mebibyte
	}
	return unit, 1
}
