package bench

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"resound/bench/rest"
)

// Bounds of one look at a server's metrics.
const (
	metricsTimeout  = 2 * time.Second
	maxMetricsBytes = 8 << 20
)

// goroutinesOf returns a reader of a Go server's number of goroutines, which programs
// with the Prometheus client tell as go_goroutines. It asks on a connection of its
// own each time, so that it leaves nothing behind.
func goroutinesOf(t rest.Target) func() (int, bool) {
	client := http.Client{Timeout: metricsTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return func() (int, bool) {
		answer, err := client.Get("http://" + t.Address + t.Prefix + "/metrics")
		if err != nil {
			return 0, false
		}
		defer answer.Body.Close()
		lines := bufio.NewScanner(io.LimitReader(answer.Body, maxMetricsBytes))
		for lines.Scan() {
			if value, found := strings.CutPrefix(lines.Text(), "go_goroutines "); found {
				n, err := strconv.Atoi(value)
				return n, err == nil
			}
		}
		return 0, false
	}
}
