package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the result for people: medians, ratios, and the verdicts.
func (r Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s  commit %s  %s, %d cores, Linux %s, %s\n", r.Scenario, r.Commit,
		r.Machine.CPUModel, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go)
	fmt.Fprintf(t, "%s\n\n", describeSettings(r.Settings))
	r.writeMedians(t)
	r.writeMemory(t)
	r.writeRatios(t)
	r.Census.write(t)
	for _, v := range r.Verdicts {
		fmt.Fprintf(t, "! %s\n", v)
	}
	return t.Flush()
}

// describeSettings names what concerns the scenario.
func describeSettings(s Settings) string {
	b := fmt.Appendf(nil, "%d connections, %d threads", s.Connections, s.Threads)
	if s.Channels > 0 {
		b = fmt.Appendf(b, ", %d channels", s.Channels)
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
	return string(b)
}

func (r Result) writeMedians(t io.Writer) {
	if len(r.Medians) == 0 {
		return
	}
	fmt.Fprintln(t, "median of rounds\tper second\tserver us/op\tserver cores\tclient cores\tothers\tp50\tp99\tmax\t")
	for _, m := range r.Medians {
		p50, p99, longest := "-", "-", "-"
		if m.Latency != nil {
			p50, p99, longest = micros(m.Latency.P50), micros(m.Latency.P99), micros(m.Latency.Max)
		}
		fmt.Fprintf(t, "%s %s\t%.0f\t%s\t%s\t%.2f\t%.2f\t%s\t%s\t%s\t\n", m.Subject, m.Mode, m.PerSecond,
			optional(m.CPUMicros), optional(m.ServerCores), m.ClientCores, m.OtherCores, p50, p99, longest)
	}
	fmt.Fprintln(t)
}

func (r Result) writeMemory(t io.Writer) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprintln(t, "memory\tempty kB\tloaded kB\tbytes/connection\tkernel bytes/connection\tsettled after\t")
	for _, m := range r.Memory {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.0f\t%.0f\t%.0f s\t\n", m.Subject, m.EmptyBytes>>10, m.LoadedBytes>>10,
			m.BytesPerConnection, m.KernelBytesPerConnection, m.SettleSeconds)
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

func optional(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *v)
}

func micros(v int64) string {
	d := time.Duration(v) * time.Microsecond
	if d >= 10*time.Millisecond {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.String()
}
