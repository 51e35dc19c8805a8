package monitor

import (
	"fmt"
	"testing"
	"time"
)

func TestSample(t *testing.T) {
	var m Sampler
	at := time.Unix(1000, 0)
	first := full(1)
	got := m.Sample(at, &first)
	if _, has := got["messages_sent"]; has || got["connections"] != 3 || got["app-0000/subscriptions"] != 3 {
		t.Errorf("the first sample is %v", got)
	}
	second := full(2)
	second.Totals.Sent += 50
	second.Totals.Received = 0 // an app was removed
	second.Process.CPUSeconds += 5
	second.Errors[0].Count += 20
	second.HTTP.Responses[4] += 10
	second.Apps[0].Triggered += 100
	second.Custom = []Custom{{App: "app-0000", Name: "orders", Kind: Counter, Value: 7}}
	got = m.Sample(at.Add(10*time.Second), &second)
	for name, want := range map[string]float64{
		"messages_sent": 5, "messages_received": 0, "cpu_percent": 50, "errors": 2, "http_requests": 1, "http_errors": 1,
		"app-0000/events_triggered": 10, "app-0001/connections": 1, "app-0000/custom/orders": 7,
		"mailbox_items": 4, "lag_seconds": 0.25,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, has := got["app-0001/messages_sent"]; has {
		t.Error("a new app has a rate already")
	}
}

func TestSampleOfManyAppsIsBounded(t *testing.T) {
	var m Sampler
	s := full(MaxHistoryApps + 5)
	got := m.Sample(time.Unix(1000, 0), &s)
	if got[OtherApps+"/connections"] != 5 {
		t.Errorf("the others have %v connections, want 5", got[OtherApps+"/connections"])
	}
	if name := fmt.Sprintf("app-%04d/connections", MaxHistoryApps); got[name] != 0 {
		t.Errorf("%s has a series of its own", name)
	}
}

func TestANodeHasNoMoreSeriesThanTheHistoryKeeps(t *testing.T) {
	var m Sampler
	s := full(MaxHistoryApps + 1)
	for i := range MaxCustom {
		s.Custom = append(s.Custom, Custom{App: "1", Name: fmt.Sprint("a", i), Kind: Gauge})
	}
	m.Sample(time.Unix(1000, 0), &s)
	if got := len(m.Sample(time.Unix(1010, 0), &s)); got > 542 { // history.MaxSeries says so
		t.Errorf("%d series, want 542 at most", got)
	}
}
