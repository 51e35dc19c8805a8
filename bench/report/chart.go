package report

import (
	"fmt"
	"math"
	"strings"
)

// Size of a chart in its own units. It is as wide as a phone's screen, so that its
// text stays readable there; wider screens show several beside each other.
const (
	chartWidth   = 420.0
	chartHeight  = 256.0
	marginLeft   = 68.0
	marginRight  = 22.0
	marginTop    = 24.0
	marginBottom = 36.0
)

// chart is one drawing. Coordinates are in its own units, from the top left.
type chart struct {
	Title, Note    string
	XLabel, YLabel string
	XTicks, YTicks []tick
	Lines          []line
	Bars           []bar
	Legend         []key
}

// tick is a mark on an axis.
type tick struct {
	At   float64
	Text string
}

// line is one curve. Class chooses its color.
type line struct {
	Class, Path string
	Spots       []spot
}

// spot is a point with its values in words, shown when it is pointed at.
type spot struct {
	X, Y float64
	Text string
}

// bar is one column.
type bar struct {
	Class               string
	X, Y, Width, Height float64
	Text                string // shown when it is pointed at
	Label               string // shown above it, "" for none
}

// key explains a color.
type key struct{ Class, Name string }

// Width and the following are for the template.
func (chart) Width() float64  { return chartWidth }
func (chart) Height() float64 { return chartHeight }
func (chart) Left() float64   { return marginLeft }
func (chart) Right() float64  { return chartWidth - marginRight }
func (chart) Top() float64    { return marginTop }
func (chart) Bottom() float64 { return chartHeight - marginBottom }

// addKey explains a color once.
func (c *chart) addKey(class, name string) {
	for _, k := range c.Legend {
		if k.Name == name {
			return
		}
	}
	c.Legend = append(c.Legend, key{class, name})
}

// axis maps values to coordinates, evenly or by their logarithm.
type axis struct {
	low, high float64 // values
	from, to  float64 // coordinates
	log       bool
}

func (a axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, a.low))
	}
	v = min(max(v, low), high)
	return a.from + (v-low)/(high-low)*(a.to-a.from)
}

// round1 keeps coordinates short.
func round1(v float64) float64 { return math.Round(v*10) / 10 }

// evenAxis spans 0 to high in round steps.
func evenAxis(high, from, to float64, text func(float64) string) (axis, []tick) {
	const wanted = 4
	if !(high > 0) || math.IsInf(high, 0) {
		high = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(high/wanted)))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if high/(step*factor) <= wanted {
			step *= factor
			break
		}
	}
	a := axis{low: 0, high: math.Ceil(high/step) * step, from: from, to: to}
	var ticks []tick
	for i := 0; float64(i)*step <= a.high*1.0001; i++ {
		v := float64(i) * step
		ticks = append(ticks, tick{round1(a.at(v)), text(v)})
	}
	return a, ticks
}

// logAxis spans low to high, both above 0, in steps of 1, 2, 5 or, when there are
// many, of 10.
func logAxis(low, high, from, to float64, text func(float64) string) (axis, []tick) {
	bottom := low
	low = math.Pow(10, math.Floor(math.Log10(low)))
	factors := []float64{1, 2, 5}
	if high/low > 1000 {
		factors = factors[:1]
	}
	var values []float64
	for decade := low; ; decade *= 10 {
		for _, f := range factors {
			values = append(values, decade*f)
			if len(values) > 1 && decade*f <= bottom {
				values = values[len(values)-1:] // the axis may begin higher
			}
			if decade*f >= high && len(values) > 1 {
				a := axis{low: values[0], high: decade * f, from: from, to: to, log: true}
				return a, logTicks(a, values, text)
			}
		}
	}
}

func logTicks(a axis, values []float64, text func(float64) string) []tick {
	ticks := make([]tick, len(values))
	for i, v := range values {
		ticks[i] = tick{round1(a.at(v)), text(v)}
	}
	return ticks
}

// path returns an SVG path through spots.
func path(spots []spot) string {
	var b strings.Builder
	for i, s := range spots {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, s.X, s.Y)
	}
	return b.String()
}

// Half is where the label of a bar is centered.
func (b bar) Half() float64 { return round1(b.Width / 2) }
