package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"resound/bench"
)

// maxNines is how far right a percentile curve goes: 5 is 99.999 %.
const maxNines = 5

// lowestShare is from where on a curve decides how low the chart reaches: the fastest
// few would take half of it.
const lowestShare = 0.05

// maxMarks is how many points of a curve can be pointed at.
const maxMarks = 60

// quantile is a latency that a share of all operations did not exceed.
type quantile struct {
	Share  float64 // 0 to 1
	Micros float64
}

// nines is the place of a share on an axis where each nine takes the same room.
func nines(share float64) float64 {
	if share >= 1 {
		return maxNines
	}
	return min(-math.Log10(1-share), maxNines)
}

// quantilesOf sums the rounds of a subject and mode up: by their histograms, or, for
// results without, by the medians.
func quantilesOf(r bench.Result, m bench.Median) []quantile {
	counts := make(map[int64]uint64)
	var total uint64
	for _, round := range r.Rounds {
		if round.Subject == m.Subject && round.Mode == m.Mode {
			for _, b := range round.Histogram {
				counts[b.UpToMicros] += b.Count
				total += b.Count
			}
		}
	}
	if total == 0 {
		if m.Latency == nil {
			return nil
		}
		l := m.Latency
		return []quantile{{0.5, float64(l.P50)}, {0.9, float64(l.P90)}, {0.99, float64(l.P99)}}
	}
	quantiles := make([]quantile, 0, len(counts))
	for micros, count := range counts {
		quantiles = append(quantiles, quantile{float64(count), float64(micros)})
	}
	slices.SortFunc(quantiles, func(a, b quantile) int { return cmp.Compare(a.Micros, b.Micros) })
	sum := 0.0
	for i, q := range quantiles {
		sum += q.Share
		quantiles[i].Share = sum / float64(total)
	}
	return quantiles
}

// curve is one line of a latency chart.
type curve struct {
	class, name string
	quantiles   []quantile
}

// latencyCharts draws the distribution of each mode, with that of an earlier result
// when there is one.
func latencyCharts(r bench.Result, earlier *bench.Result) []chart {
	var charts []chart
	for _, mode := range modesOf(r) {
		var curves []curve
		for _, m := range r.Medians {
			if q := quantilesOf(r, m); m.Mode == mode && len(q) > 0 {
				curves = append(curves, curve{colorOf(m.Subject), m.Subject, q})
			}
		}
		if len(curves) > 0 && earlier != nil {
			for _, m := range earlier.Medians {
				if q := quantilesOf(*earlier, m); m.Mode == mode && m.Subject == bench.SubjectServer && len(q) > 0 {
					curves = append(curves, curve{"earlier", "server, earlier", q})
				}
			}
		}
		if len(curves) > 0 {
			charts = append(charts, percentileChart(mode, curves))
		}
	}
	return charts
}

func percentileChart(mode string, curves []curve) chart {
	low, high, right := math.Inf(1), 0.0, 2.0
	for _, c := range curves {
		for _, q := range c.quantiles {
			if q.Share >= lowestShare {
				low, high = min(low, max(q.Micros, 1)), max(high, q.Micros)
			}
			right = max(right, math.Ceil(nines(q.Share)))
		}
	}
	c := chart{Title: "Latency, " + mode, XLabel: "percentile of all operations", YLabel: "time"}
	x := axis{low: 0, high: right, from: c.Left(), to: c.Right()}
	for _, mark := range []struct {
		share float64
		text  string
	}{{0, "0"}, {0.5, "50"}, {0.9, "90"}, {0.99, "99"}, {0.999, "99.9"}, {0.9999, "99.99"}, {0.99999, "99.999"}} {
		if n := -math.Log10(1 - mark.share); n <= right+0.001 {
			c.XTicks = append(c.XTicks, tick{round1(x.at(n)), mark.text})
		}
	}
	y, ticks := logAxis(low, max(high, low*2), c.Bottom(), c.Top(), microsText)
	c.YTicks = ticks
	for _, curve := range curves {
		c.Lines = append(c.Lines, percentileLine(curve, x, y))
		c.addKey(curve.class, curve.name)
	}
	return c
}

func percentileLine(c curve, x, y axis) line {
	spots := make([]spot, len(c.quantiles))
	for i, q := range c.quantiles {
		spots[i] = spot{
			X: round1(x.at(nines(q.Share))), Y: round1(y.at(q.Micros)),
			Text: fmt.Sprintf("%s: %.5g %% within %s", c.name, 100*q.Share, bench.Micros(int64(q.Micros))),
		}
	}
	return line{Class: c.class, Path: path(spots), Spots: thinned(spots, maxMarks)}
}

// thinned keeps about so many of the spots, the last one always.
func thinned(spots []spot, wanted int) []spot {
	step := (len(spots) + wanted - 1) / wanted
	if step <= 1 {
		return spots
	}
	var kept []spot
	for i := len(spots) - 1; i >= 0; i -= step {
		kept = append(kept, spots[i])
	}
	return kept
}

func microsText(v float64) string {
	switch {
	case v >= 1e6:
		return bench.Plain(v/1e6) + " s"
	case v >= 1e3:
		return bench.Plain(v/1e3) + " ms"
	}
	return bench.Plain(v) + " µs"
}

// modesOf lists the modes of a result in their order.
func modesOf(r bench.Result) []string {
	var modes []string
	for _, m := range r.Medians {
		if !slices.Contains(modes, m.Mode) {
			modes = append(modes, m.Mode)
		}
	}
	return modes
}
