package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the result for people: medians, ratios, and the verdicts.
func (r Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s  commit %s  %s\n", r.Scenario, r.Commit, r.DescribeMachine())
	fmt.Fprintf(t, "%s\n\n", r.DescribeSettings())
	r.writeMedians(t)
	r.writeMemory(t)
	r.writeRatios(t)
	r.Census.write(t)
	for _, v := range r.Verdicts {
		fmt.Fprintf(t, "! %s\n", v)
	}
	return t.Flush()
}

// DescribeMachine names the host in a line.
func (r Result) DescribeMachine() string {
	m := r.Machine
	return fmt.Sprintf("%s, %d cores, Linux %s, %s", m.CPUModel, m.Cores, m.Kernel, m.Go)
}

// DescribeSettings names what concerns the scenario, and the floor, in a line.
func (r Result) DescribeSettings() string {
	s := r.Settings
	b := fmt.Appendf(nil, "%s connections, %d threads", count(float64(s.Connections)), s.Threads)
	if s.Channels > 0 {
		b = fmt.Appendf(b, ", %s channels", count(float64(s.Channels)))
	}
	if s.PayloadBytes > 0 {
		b = fmt.Appendf(b, ", payload %d bytes", s.PayloadBytes)
	}
	if s.Rounds > 0 {
		b = fmt.Appendf(b, ", %d rounds", s.Rounds)
	}
	if s.Rounds > 0 && s.Duration > 0 && s.Events == 0 {
		b = fmt.Appendf(b, " of %v", s.Duration)
	}
	if r.Floor != "" {
		b = fmt.Appendf(b, ", floor in %s", map[string]string{FloorC: "C", FloorGo: "Go"}[r.Floor])
	}
	return string(b)
}

// OperationsName says what the scenario's operations are, in the plural.
func (r Result) OperationsName() string {
	if name, found := operationNames[r.Scenario]; found {
		return name
	}
	return "operations"
}

var operationNames = map[string]string{
	"fanout":  "deliveries",
	"latency": "deliveries",
	"spread":  "events",
	"trigger": "requests",
	"connect": "connections",
}

// OfFloor returns the median ratio of a mode's server to the floor in "rate", "CPU"
// or "p99", and false when it was not measured.
func (r Result) OfFloor(what, mode string) (float64, bool) {
	for _, ratio := range r.Ratios {
		if ratio.Name == ratioName(what, mode, SubjectFloor) {
			return ratio.Median, true
		}
	}
	return 0, false
}

func (r Result) writeMedians(t io.Writer) {
	if len(r.Medians) == 0 {
		return
	}
	fmt.Fprintf(t, "median of rounds\t%s/s\tof floor\tCPU us/op\tof floor\tserver cores\tclient cores\tothers\tp50\tp90\tp99\tmax\t\n", r.OperationsName())
	for _, m := range r.Medians {
		rate, cpu := "", ""
		if m.Subject == SubjectServer {
			rate, cpu = ratioText(r.OfFloor("rate", m.Mode)), ratioText(r.OfFloor("CPU", m.Mode))
		}
		l := [4]string{"-", "-", "-", "-"}
		if m.Latency != nil {
			l = [4]string{Micros(m.Latency.P50), Micros(m.Latency.P90), Micros(m.Latency.P99), Micros(m.Latency.Max)}
		}
		fmt.Fprintf(t, "%s %s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%s\t%s\t%s\t\n", m.Subject, m.Mode, count(m.PerSecond), rate,
			optional(m.CPUMicros), cpu, optional(m.ServerCores), m.ClientCores, m.OtherCores, l[0], l[1], l[2], l[3])
	}
	fmt.Fprintln(t)
}

func (r Result) writeMemory(t io.Writer) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprintln(t, "memory\tempty kB\tloaded kB\tbytes/connection\tkernel bytes/connection\tsettled after\t")
	for _, m := range r.Memory {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.0f s\t\n", m.Subject, count(float64(m.EmptyBytes>>10)), count(float64(m.LoadedBytes>>10)),
			count(m.BytesPerConnection), count(m.KernelBytesPerConnection), m.SettleSeconds)
	}
	fmt.Fprintln(t)
}

func (r Result) writeRatios(t io.Writer) {
	if len(r.Ratios) == 0 {
		return
	}
	fmt.Fprintln(t, "ratio\tmedian\trounds\t")
	for _, ratio := range r.Ratios {
		rounds := make([]string, len(ratio.Rounds))
		for i, v := range ratio.Rounds {
			rounds[i] = fmt.Sprintf("%.2f", v)
		}
		fmt.Fprintf(t, "%s\t%.2f\t%s\t\n", ratio.Name, ratio.Median, strings.Join(rounds, " "))
	}
	fmt.Fprintln(t)
}
