package report

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func value(v float64) *float64 { return &v }

// full returns a result with everything a report can show.
func full(commit string) bench.Result {
	r := bench.Result{
		Scenario: "fanout",
		Started:  time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC),
		Commit:   commit,
		Floor:    bench.FloorC,
		Settings: bench.Settings{Floor: true, Connections: 10_000, Threads: 2, PayloadBytes: 100, Rounds: 3, Duration: 3 * time.Second},
		Verdicts: []string{"host saturated"},
	}
	r.Machine.Cores, r.Machine.CPUModel, r.Machine.Kernel, r.Machine.Go = 2, "A CPU", "6.1", "go1.26"
	for _, subject := range []string{bench.SubjectServer, bench.SubjectFloor} {
		for _, mode := range []string{"single", "burst of 8"} {
			for number := range 3 {
				r.Rounds = append(r.Rounds, bench.Round{
					Number: number + 1, Subject: subject, Mode: mode, PerSecond: 100_000 + float64(number), CPUMicros: value(8), ServerCores: value(1),
					Latency:   &bench.Latency{P50: 1000, P90: 2000, P99: 5000, Max: 9000},
					Histogram: []bench.Bucket{{UpToMicros: 500, Count: 100}, {UpToMicros: 1000, Count: 800}, {UpToMicros: 9000, Count: 100}},
				})
			}
			r.Medians = append(r.Medians, bench.Median{
				Subject: subject, Mode: mode, PerSecond: 123_456, CPUMicros: value(8.1), ServerCores: value(1),
				Latency: &bench.Latency{P50: 1000, P90: 2000, P99: 5000, Max: 9000},
			})
		}
		r.Memory = append(r.Memory, bench.Memory{Subject: subject, Connections: 10, BytesPerConnection: 567, Settled: true})
		r.Series = append(
			r.Series,
			bench.Series{Subject: subject, Name: "memory", Unit: "bytes", Points: []bench.Point{{Seconds: 0, Value: 1 << 20}, {Seconds: 5, Value: 8 << 20}}},
			bench.Series{Subject: subject, Name: "deliveries", Unit: "per second", Points: []bench.Point{{Seconds: 1, Value: 5}, {Seconds: 2, Value: 7}}},
		)
	}
	r.Ratios = []bench.Ratio{
		{Name: "rate, single, server / floor", Median: 0.94, Rounds: []float64{0.93, 0.94, 0.95}},
		{Name: "CPU, single, server / floor", Median: 1.07, Rounds: []float64{1.07}},
	}
	return r
}

func render(t *testing.T, r bench.Result, c *bench.Comparison) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func expectAll(t *testing.T, page string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("got a page without %q", want)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Run("shows verdicts, figures, charts, tables, settings", func(t *testing.T) {
		expectAll(t, render(t, full("abc"), nil),
			"host saturated", "123,456", "0.94 of the floor&#39;s", "1.07 of the floor&#39;s", "Latency, single", "Latency, burst of 8",
			"Throughput, burst of 8", "Resident memory", "Memory over time", "Deliveries over time", "10,000 connections", "floor in C",
			"A CPU", "payload bytes", "MiB", "0.93", "prefers-color-scheme: dark")
	})
	t.Run("loads nothing from outside", func(t *testing.T) {
		page := render(t, full("abc"), nil)
		for _, banned := range []string{"http://", "https://", "src=", "<link", "@import", "url("} {
			if strings.Contains(page, banned) {
				t.Errorf("got a page with %q, want everything inside", banned)
			}
		}
	})
	t.Run("the raw data are the result", func(t *testing.T) {
		_, raw, _ := strings.Cut(render(t, full("abc"), nil), `id="raw">`)
		raw, _, _ = strings.Cut(raw, "</script>")
		var back bench.Result
		if err := json.Unmarshal([]byte(raw), &back); err != nil || len(back.Rounds) != 12 || back.Commit != "abc" {
			t.Errorf("got %d rounds of commit %q %v, want all 12 of abc", len(back.Rounds), back.Commit, err)
		}
	})
	t.Run("text of the result is no markup", func(t *testing.T) {
		const attack = `</script><script>alert(1)</script><img onerror=x>`
		r := full(attack)
		r.Verdicts = []string{attack}
		r.Medians[0].Mode, r.Series[0].Name, r.Scenario, r.Machine.Kernel = attack, attack, attack, attack
		page := render(t, r, nil)
		if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img") {
			t.Error("got the text as markup, want it escaped")
		}
	})
	t.Run("an earlier result stands beside it", func(t *testing.T) {
		c, err := bench.Compare(full("old"), full("abc"))
		if err != nil {
			t.Fatal(err)
		}
		c.Rows[0].Earlier = value(61_728)
		expectAll(t, render(t, full("abc"), &c), "Earlier: commit old", "server, earlier", "61,728", `class="better">2.00`)
	})
	t.Run("an empty result has a page", func(t *testing.T) {
		expectAll(t, render(t, bench.Result{Scenario: "idle"}, nil), "<h1>idle</h1>", "Nothing speaks against this result")
	})
	t.Run("absurd figures do not spoil a chart", func(t *testing.T) {
		r := full("abc")
		r.Rounds[0].PerSecond, r.Series[0].Points[0].Value, r.Series[1].Points = 0, -5, r.Series[1].Points[:1]
		r.Rounds[0].Histogram = []bench.Bucket{{UpToMicros: 0, Count: 1}, {UpToMicros: math.MaxInt64, Count: 1}}
		page := render(t, r, nil)
		for _, banned := range []string{"NaN", "Inf"} {
			if strings.Contains(page, banned) {
				t.Errorf("got a page with %s, want numbers", banned)
			}
		}
	})
}

func TestAxes(t *testing.T) {
	texts := func(ticks []tick) string {
		all := make([]string, len(ticks))
		for i, tick := range ticks {
			all[i] = tick.Text
		}
		return strings.Join(all, " ")
	}
	even := []struct {
		high float64
		want string
	}{{97, "0 25 50 75 100"}, {1, "0 0.25 0.5 0.75 1"}, {130_000, "0 50,000 100,000 150,000"}, {0, "0 0.25 0.5 0.75 1"}}
	for _, tt := range even {
		if _, ticks := evenAxis(tt.high, 0, 100, bench.Plain); texts(ticks) != tt.want {
			t.Errorf("got %q up to %v, want %q", texts(ticks), tt.high, tt.want)
		}
	}
	logarithmic := []struct {
		low, high float64
		want      string
	}{{3000, 40_000, "2 ms 5 ms 10 ms 20 ms 50 ms"}, {1, 2_000_000, "1 µs 10 µs 100 µs 1 ms 10 ms 100 ms 1 s 10 s"}, {7, 8, "5 µs 10 µs"}}
	for _, tt := range logarithmic {
		if _, ticks := logAxis(tt.low, tt.high, 0, 100, microsText); texts(ticks) != tt.want {
			t.Errorf("got %q from %v to %v, want %q", texts(ticks), tt.low, tt.high, tt.want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	r := full("abc")
	t.Run("are sums over the rounds", func(t *testing.T) {
		got := quantilesOf(r, r.Medians[0])
		if want := []quantile{{0.1, 500}, {0.9, 1000}, {1, 9000}}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("come from the medians when there are no histograms", func(t *testing.T) {
		r.Rounds = nil
		if got := quantilesOf(r, r.Medians[0]); len(got) != 3 || got[2] != (quantile{0.99, 5000}) {
			t.Errorf("got %v, want p50, p90 and p99", got)
		}
	})
}

// checks runs in the browser and leaves what it found in the title.
const checks = `<script>
var found = []
try { JSON.parse(document.getElementById('raw').textContent) } catch (e) { found.push('raw data: ' + e) }
if (document.documentElement.scrollWidth > innerWidth) found.push('page of ' + document.documentElement.scrollWidth + ' is wider than ' + innerWidth)
document.querySelectorAll('svg').forEach(function (svg) {
	var frame = svg.getBoundingClientRect()
	svg.querySelectorAll('text, path, rect').forEach(function (e) {
		var box = e.getBoundingClientRect()
		if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
			found.push(e.tagName + ' ' + e.textContent + ' sticks out of ' + svg.getAttribute('aria-label'))
	})
})
URL.createObjectURL = function (blob) { found.push('saves ' + blob.size); return '#' }
document.getElementById('save').click()
document.title = found.join('; ')
</script>`

func TestInChromium(t *testing.T) {
	chromium := needChromium(t)
	earlier, later := full("old"), full("abc")
	c, err := bench.Compare(earlier, later)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(strings.Replace(render(t, later, &c), "</body>", checks+"</body>", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(later)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"1280,900", "390,844"} {
		t.Run("everything is in its place at "+size, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
				"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--window-size="+size, "--dump-dom", "file://"+path)
			cmd.WaitDelay = 5 * time.Second
			dom, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			_, title, _ := strings.Cut(string(dom), "<title>")
			title, _, _ = strings.Cut(title, "</title>")
			if want := "saves " + bench.Plain(float64(len(raw))); strings.ReplaceAll(title, ",", "") != strings.ReplaceAll(want, ",", "") {
				t.Errorf("the page found %q, want only %q", title, want)
			}
		})
	}
}

// needChromium returns the path of Chromium.
func needChromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const text = "this test needs chromium (Debian package chromium, or its path in CHROMIUM)"
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
	return ""
}
