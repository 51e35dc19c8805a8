package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"resound/bench"
)

//go:embed report.html
var pageSource string

//go:embed report.css
var style string

var page = template.Must(template.New("report").Parse(pageSource))

// view is what the template shows.
type view struct {
	Title    string
	Result   bench.Result
	Machine  string
	Settings string
	Style    template.CSS
	Figures  []keyFigure
	Charts   []chart
	Medians  []medianRow
	Ratios   []ratioRow
	Memory   []memoryRow
	Options  []option
	Compared *comparedView
	Raw      template.JS
	FileName string
}

// keyFigure is one of the large numbers at the top.
type keyFigure struct{ Name, Value, Unit, Beside string }

type medianRow struct {
	Class, Subject, Mode, PerSecond, OfRate, CPU, OfCPU, Server, Client, Others, P50, P90, P99, Max string
}

type ratioRow struct {
	Name, Median string
	Rounds       []string
}

type memoryRow struct{ Class, Subject, Empty, Loaded, PerConnection, Kernel, Settled string }

type option struct{ Name, Value string }

type comparedView struct {
	Earlier, Later bench.Result
	Differences    []string
	Rows           []comparedRow
}

type comparedRow struct{ Group, Name, Earlier, Later, Ratio, Class string }

// Write writes r as an HTML file to w, with an earlier result beside it when c is not
// nil, in which r is the later one.
func Write(w io.Writer, r bench.Result, c *bench.Comparison) error {
	raw, err := json.Marshal(r) // escapes what could end the script it stands in
	if err != nil {
		return err
	}
	v := view{
		Title:    r.Scenario,
		Result:   r,
		Machine:  r.DescribeMachine(),
		Settings: r.DescribeSettings(),
		Style:    template.CSS(style),
		Figures:  keyFigures(r),
		Medians:  medianRows(r),
		Memory:   memoryRows(r),
		Options:  options(r),
		Raw:      template.JS(raw),
		FileName: r.Scenario + "-" + r.Commit + ".json",
	}
	for _, ratio := range r.Ratios {
		row := ratioRow{Name: ratio.Name, Median: two(ratio.Median)}
		for _, round := range ratio.Rounds {
			row.Rounds = append(row.Rounds, two(round))
		}
		v.Ratios = append(v.Ratios, row)
	}
	var earlier *bench.Result
	if c != nil {
		earlier = &c.Earlier
		v.Compared = comparedRows(*c)
	}
	v.Charts = append(v.Charts, latencyCharts(r, earlier)...)
	v.Charts = append(v.Charts, throughputCharts(r)...)
	v.Charts = append(v.Charts, memoryChart(r, earlier)...)
	v.Charts = append(v.Charts, seriesCharts(r)...)
	return page.Execute(w, v)
}

// keyFigures are the server's medians, and its memory.
func keyFigures(r bench.Result) []keyFigure {
	var figures []keyFigure
	for _, m := range r.Medians {
		if m.Subject != bench.SubjectServer {
			continue
		}
		if m.PerSecond > 0 {
			figures = append(figures, keyFigure{m.Mode, bench.Number(m.PerSecond), r.OperationsName() + "/s", ofFloor(r, "rate", m.Mode)})
		}
		if m.CPUMicros != nil {
			figures = append(figures, keyFigure{m.Mode, bench.Number(*m.CPUMicros), "µs CPU each", ofFloor(r, "CPU", m.Mode)})
		}
		if m.Latency != nil {
			figures = append(figures, keyFigure{m.Mode, bench.Micros(m.Latency.P99), "p99", ofFloor(r, "p99", m.Mode)})
		}
	}
	var floorBytes float64
	for _, m := range r.Memory {
		if m.Subject == bench.SubjectFloor {
			floorBytes = m.BytesPerConnection
		}
	}
	for _, m := range r.Memory {
		if m.Subject == bench.SubjectServer {
			f := keyFigure{"memory", bench.Number(m.BytesPerConnection), "bytes per connection", ""}
			if floorBytes > 0 {
				f.Beside = "floor: " + bench.Number(floorBytes)
			}
			figures = append(figures, f)
		}
	}
	return figures
}

func ofFloor(r bench.Result, what, mode string) string {
	if v, found := r.OfFloor(what, mode); found {
		return two(v) + " of the floor's"
	}
	return ""
}

func medianRows(r bench.Result) []medianRow {
	var rows []medianRow
	for _, m := range r.Medians {
		row := medianRow{
			Class: colorOf(m.Subject), Subject: m.Subject, Mode: m.Mode, PerSecond: bench.Number(m.PerSecond),
			CPU: dash(m.CPUMicros), Server: dash(m.ServerCores), Client: two(m.ClientCores), Others: two(m.OtherCores),
			P50: "–", P90: "–", P99: "–", Max: "–",
		}
		if m.Subject == bench.SubjectServer {
			row.OfRate, row.OfCPU = ratioText(r.OfFloor("rate", m.Mode)), ratioText(r.OfFloor("CPU", m.Mode))
		}
		if l := m.Latency; l != nil {
			row.P50, row.P90, row.P99, row.Max = bench.Micros(l.P50), bench.Micros(l.P90), bench.Micros(l.P99), bench.Micros(l.Max)
		}
		rows = append(rows, row)
	}
	return rows
}

func memoryRows(r bench.Result) []memoryRow {
	var rows []memoryRow
	for _, m := range r.Memory {
		settled := fmt.Sprintf("%.0f s", m.SettleSeconds)
		if !m.Settled {
			settled = "not within " + settled
		}
		rows = append(rows, memoryRow{
			colorOf(m.Subject), m.Subject, bench.Number(float64(m.EmptyBytes >> 10)), bench.Number(float64(m.LoadedBytes >> 10)),
			bench.Number(m.BytesPerConnection), bench.Number(m.KernelBytesPerConnection), settled,
		})
	}
	return rows
}

// options lists the settings as they are in the raw data.
func options(r bench.Result) []option {
	list := []option{
		{"started", r.Started.Format("2006-01-02 15:04:05 MST")},
		{"commit", r.Commit},
		{"CPU", r.Machine.CPUModel},
		{"cores", fmt.Sprint(r.Machine.Cores)},
		{"kernel", r.Machine.Kernel},
		{"Go", r.Machine.Go},
	}
	if r.Floor != "" {
		list = append(list, option{"kind of floor", r.Floor})
	}
	for _, f := range bench.Fields(r.Settings) {
		list = append(list, option{f.Name, f.Value})
	}
	return list
}

// notable is from how far apart two figures count as better or worse: what lies
// between is noise on most hosts.
const notable = 0.05

func comparedRows(c bench.Comparison) *comparedView {
	v := &comparedView{Earlier: c.Earlier, Later: c.Later, Differences: c.Differences}
	group := ""
	for _, r := range c.Rows {
		row := comparedRow{Name: r.Name, Earlier: dash(r.Earlier), Later: dash(r.Later)}
		if r.Group != group {
			group, row.Group = r.Group, r.Group
		}
		if ratio, ok := r.Ratio(); ok {
			row.Ratio = two(ratio)
			if math.Abs(ratio-1) >= notable {
				row.Class = map[bool]string{true: "better", false: "worse"}[ratio > 1 == r.HigherIsBetter]
			}
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

// colorOf returns the class that gives a subject its color.
func colorOf(subject string) string {
	switch subject {
	case bench.SubjectServer, bench.SubjectFloor, bench.SubjectUnchecked:
		return subject
	}
	return "other"
}

func two(v float64) string { return fmt.Sprintf("%.2f", v) }

func dash(v *float64) string {
	if v == nil {
		return "–"
	}
	return bench.Number(*v)
}

func ratioText(v float64, found bool) string {
	if !found {
		return ""
	}
	return two(v)
}

// capital begins a title.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
