package monitor

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// full is a snapshot in which everything has happened.
func full(apps int) Snapshot {
	s := Snapshot{
		Version: "1.2.3", State: StateDraining, StartedAt: time.UnixMilli(1_700_000_000_500),
		Connections: Connections{Open: 3, Limit: 10, Sockets: 4, HTTP: 2, Addresses: 13},
		Totals:      Totals{Received: 1, Sent: 2, Opened: 3, RejectedHandshakes: 4, RefusedSockets: 5, RefusedForAddress: 11, RefusedForHeader: 12, TLS: 14, TLSFailed: 15, TLSStalled: 16, RefusedPublications: 6, ShedPublications: 17, Slow: 7, Broken: 8, Panics: 9},
		Process:     Process{CPUSeconds: 1.5, MemoryBytes: 1000, MemoryLimit: 2000},
		Reactors:    []Reactor{{Connections: 1, Writes: 2, WrittenBytes: 3, Mailbox: 4, Lag: 0.25}, {Connections: 2}},
		HTTP:        HTTP{Responses: [6]uint64{0, 0, 20, 30, 40, 50}, SignatureFailures: 1, RateLimited: 2, FallbackSessions: 3},
		Shield:      Shield{Asked: 5},
		Webhooks:    &Webhooks{SentEvents: 1, SentRequests: 2, FailedRequests: 3, QueuedEvents: 4, HeldEvents: 5, Failing: 6, Dropped: []Drop{{"queue_full", 7}}},
		Closes:      []CloseCount{{4100, "Connection reads too slowly", 2}, {4100, "Server is over capacity", 3}, {4999, "closed by the peer", 4}, {3000, "closed by the peer", 5}, {1006, "connection lost", 6}},
		Errors:      []ErrorCount{{4009, 1}},
		Refusals:    []ErrorCount{{4001, 2}},
		Redis:       RedisDegraded,
		Cluster:     &Cluster{Nodes: 1, Topics: 2, Spooled: 3, Published: 4, Received: 5, Unwanted: 6, Junk: 7, Dropped: 8, Fenced: 9, Reconnects: 10, Unheard: 11, Unkept: 12},
	}
	for i := range apps {
		s.Apps = append(s.Apps, App{
			ID: fmt.Sprintf("app-%04d", i), Connections: 1, Channels: 2, Subscriptions: 3, Opened: 4, Closed: 5, Received: 6, ReceivedBytes: 7,
			Sent: 8, SentBytes: 9, ClientEvents: 10, Triggered: 11, Requests: 12, RequestBytes: 13, ResponseBytes: 14,
		})
	}
	return s
}

func scrape(t testing.TB, s Snapshot, soketiPort int) string {
	t.Helper()
	var out bytes.Buffer
	if err := NewMetrics(func() Snapshot { return s }, soketiPort).Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestMetricsSayWhatTheSnapshotSays(t *testing.T) {
	got := scrape(t, full(2), 8080)
	for _, want := range []string{
		`resound_build_info{version="1.2.3"} 1`,
		`resound_draining 1`,
		`process_start_time_seconds 1.7000000005e+09`,
		`process_cpu_seconds_total 1.5`,
		`resound_sockets{protocol="http"} 2`,
		`resound_tls_handshakes_total{outcome="stalled"} 16`,
		`resound_connections{app="app-0001"} 1`,
		`resound_messages_sent_bytes_total{app="app-0000"} 9`,
		`resound_reactor_lag_seconds{reactor="0"} 0.25`,
		`resound_http_responses_total{class="5xx"} 50`,
		`resound_connections_closed_total{code="4100"} 5`,
		`resound_connections_closed_total{code="1006"} 6`,
		`resound_connections_closed_total{code="other"} 9`,
		`resound_connections_refused_total{code="4001"} 2`,
		`resound_errors_total{code="4009"} 1`,
		`resound_client_addresses 13`,
		`resound_address_limited_total 11`,
		`resound_proxy_headers_refused_total 12`,
		`resound_publications_refused_total 6`,
		`resound_publications_shed_total 17`,
		`resound_webhook_events_dropped_total{reason="queue_full"} 7`,
		`resound_webhook_events_waiting{state="held"} 5`,
		`resound_cluster_degraded 1`,
		`resound_cluster_nodes 1`,
		`resound_cluster_topics 2`,
		`resound_cluster_spooled_publications 3`,
		`resound_cluster_publications_sent_total 4`,
		`resound_cluster_publications_received_total 5`,
		`resound_cluster_publications_unwanted_total 6`,
		`resound_cluster_junk_messages_total 7`,
		`resound_cluster_publications_dropped_total 8`,
		`resound_cluster_publications_unheard_total 11`,
		`resound_cluster_publications_unkept_total 12`,
		`resound_cluster_fenced_total 9`,
		`resound_cluster_reconnects_total 10`,
		`soketi_connected{app_id="app-0000",port="8080"} 1`,
		`soketi_new_connections_total{app_id="app-0000",port="8080"} 4`,
		`soketi_new_disconnections_total{app_id="app-0000",port="8080"} 5`,
		`soketi_socket_received_bytes{app_id="app-0000",port="8080"} 7`,
		`soketi_socket_transmitted_bytes{app_id="app-0000",port="8080"} 9`,
		`soketi_ws_messages_received_total{app_id="app-0000",port="8080"} 6`,
		`soketi_ws_messages_sent_total{app_id="app-0000",port="8080"} 8`,
		`soketi_http_calls_received_total{app_id="app-0000",port="8080"} 12`,
		`soketi_http_received_bytes{app_id="app-0000",port="8080"} 13`,
		`soketi_http_transmitted_bytes{app_id="app-0000",port="8080"} 14`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestMetricsFollowTheConventions(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, full(1), 0))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestSoketiNamesAreThereOnRequestOnly(t *testing.T) {
	if strings.Contains(scrape(t, full(1), 0), "soketi") {
		t.Error("there are names of soketi")
	}
}

func TestANodeWithNothingHasMetrics(t *testing.T) {
	if got := scrape(t, Snapshot{}, 0); !strings.Contains(got, "resound_panics_total 0\n") || strings.Contains(got, "webhook") || strings.Contains(got, "cluster") {
		t.Errorf("got %s", got)
	}
}

func TestAppsBeyondTheLimitShareALabel(t *testing.T) {
	got := scrape(t, full(MaxLabelledApps+50), 8080)
	if n := len(regexp.MustCompile(`(?m)^resound_connections\{`).FindAllString(got, -1)); n != MaxLabelledApps+1 {
		t.Errorf("%d series, want %d", n, MaxLabelledApps+1)
	}
	for _, want := range []string{`resound_connections{app="other apps"} 50`, `resound_http_response_bytes_total{app="other apps"} 700`, `soketi_connected{app_id="other apps",port="8080"} 50`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// BenchmarkScrape is the cost of /metrics.
func BenchmarkScrape(b *testing.B) {
	for _, apps := range []int{1, MaxLabelledApps} {
		b.Run(fmt.Sprintf("%d apps", apps), func(b *testing.B) {
			s := full(apps)
			m := NewMetrics(func() Snapshot { return s }, 0)
			var out bytes.Buffer
			cpu := ReadProcess().CPUSeconds
			for b.Loop() {
				out.Reset()
				if err := m.Write(&out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((ReadProcess().CPUSeconds-cpu)*1e6/float64(b.N), "us-cpu/op")
		})
	}
}
