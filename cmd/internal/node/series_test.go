package node

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"resound/cmd/internal/config"
	"resound/cmd/internal/monitor"
)

// TestSeriesOfAlertsAreThoseOfTheHistory compares what the configuration takes, what
// is measured, and what the documentation lists.
func TestSeriesOfAlertsAreThoseOfTheHistory(t *testing.T) {
	apps := make([]monitor.App, monitor.MaxHistoryApps+2)
	for i := range apps {
		apps[i].ID = string(rune('a' + i))
	}
	var sampler monitor.Sampler
	at := time.Unix(1000, 0)
	sampler.Sample(at, &monitor.Snapshot{Apps: apps})
	var ofNode, ofApp []string
	for series := range sampler.Sample(at.Add(time.Second), &monitor.Snapshot{Apps: apps}) {
		if name, found := strings.CutPrefix(series, "other apps/"); found {
			ofApp = append(ofApp, name)
		} else if !strings.Contains(series, "/") {
			ofNode = append(ofNode, series)
		}
	}
	slices.Sort(ofNode)
	slices.Sort(ofApp)
	if !slices.Equal(ofNode, config.NodeSeries) {
		t.Errorf("of the node alerts take %v, measured are %v", config.NodeSeries, ofNode)
	}
	if !slices.Equal(ofApp, config.AppSeries) {
		t.Errorf("of an app alerts take %v, measured are %v", config.AppSeries, ofApp)
	}
	text, err := os.ReadFile("../../../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\nSeries: ")
	list, _, _ = strings.Cut(list, "\n## ")
	for _, name := range ofNode {
		if !strings.Contains(list, "`"+name+"`") {
			t.Errorf("docs/MONITORING.md lacks the series %s", name)
		}
	}
	for _, name := range ofApp {
		if !strings.Contains(list, "`ID/"+name+"`") {
			t.Errorf("docs/MONITORING.md lacks the series ID/%s", name)
		}
	}
}
