package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// overloadFor is how long TestOverloadStaysWithinItsMemory goes on; OVERLOAD in the
// environment says otherwise, "2m" for the long form.
const overloadFor = 3 * time.Second

// TestOverloadStaysWithinItsMemory has applications trigger large events as fast as
// they can for subscribers half of which read nothing. The bound is that of
// docs/OPERATIONS.md, "Memory under overload".
func TestOverloadStaysWithinItsMemory(t *testing.T) {
	t.Parallel()
	const (
		workers      = 2
		pendingBytes = 1 << 16
		outbound     = 1 << 20
		subscribers  = 100
		publishers   = 16
		requestBytes = 10_000
		collector    = 2 // the heap may be twice what lives, GOGC=100
	)
	const bound = collector * (workers*pendingBytes + subscribers*(outbound+requestBytes) + publishers*(requestBytes+16<<10))
	long := overloadFor
	if text := os.Getenv("OVERLOAD"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, startOptions{
		env:  map[string]string{"RESOUND_MAX_PENDING_BYTES": fmt.Sprint(pendingBytes), "RESOUND_MAX_OUTBOUND_BYTES": fmt.Sprint(outbound)},
		args: append([]string{"--workers", fmt.Sprint(workers)}, anyPort...),
	})
	var readers sync.WaitGroup
	sockets := make([]net.Conn, 0, subscribers)
	end := func() {
		for _, c := range sockets {
			_ = c.Close()
		}
		readers.Wait()
	}
	defer end()
	for i := range subscribers {
		channel := "news"
		if i%2 == 1 {
			channel = "unread"
		}
		c := rawSubscriber(t, s, channel)
		sockets = append(sockets, c)
		if err := c.SetDeadline(time.Now().Add(long + 2*patience)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			readers.Go(func() {
				_, _ = io.Copy(io.Discard, c) // until it is closed
			})
		}
	}
	before, peak := resident(t, s), int64(0)

	path := "/apps/" + testApp.id + "/events"
	body := `{"name":"e","channels":["news","unread"],"data":"` + strings.Repeat("x", 9000) + `"}`
	url := s.url(path) + "?" + s.api().signedQuery(http.MethodPost, path, nil, body)
	var taken, refused, other atomic.Int64
	var flood sync.WaitGroup
	until := time.Now().Add(long)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: publishers}}
	defer client.CloseIdleConnections()
	for range publishers {
		flood.Go(func() {
			for time.Now().Before(until) {
				answer, err := client.Post(url, "application/json", strings.NewReader(body))
				if err != nil {
					other.Add(1)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				switch {
				case answer.StatusCode == http.StatusOK:
					taken.Add(1)
				case answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "1":
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for time.Now().Before(until) {
		<-pace.C
		peak = max(peak, resident(t, s))
	}
	flood.Wait()
	t.Logf("%v: %d events taken, %d refused; %d MB before, %d MB at most, bound %d MB more",
		long, taken.Load(), refused.Load(), before>>20, peak>>20, bound>>20)
	if taken.Load() == 0 || refused.Load() == 0 || other.Load() > 0 {
		t.Errorf("%d events were taken, %d refused with 503 and Retry-After, %d requests ended otherwise", taken.Load(), refused.Load(), other.Load())
	}
	if os.Getenv("RACE") != "1" && peak > before+bound { // the race detector has memory of its own
		t.Errorf("the node took %d MB at most, %d before, want %d more at most", peak>>20, before>>20, bound>>20)
	}

	// Afterwards it is as before: nothing waits, those who do not read are gone.
	eventually(t, "nothing waits any more", func() bool {
		metrics := request(t, http.MethodGet, s.url("/metrics"), "").body
		return strings.Contains(metrics, "resound_reactor_mailbox_bytes{reactor=\"0\"} 0\n") &&
			strings.Contains(metrics, "resound_reactor_mailbox_bytes{reactor=\"1\"} 0\n")
	})
	s.api().eventually(t, "/channels/unread", "", `{"occupied":false}`)
	end()
	s.serves(t)
}

// resident is the memory of the server's process, in bytes.
func resident(t *testing.T, s *server) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text)
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
