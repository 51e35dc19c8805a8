package config

import (
	"strings"
	"testing"
	"time"
)

// alertFile is a file with channels and the given alerts.
func alertFile(alerts string) string {
	return `{"servers":{"reverb":{"monitoring":{"channels":{"slack":{"url":"https://hooks.example/1"}},"alerts":` + alerts + `}}},
		"apps":{"apps":[{"app_id":"1","key":"k","secret":"s"}]}}`
}

func loadAlerts(t *testing.T, alerts string) (*Config, error) {
	t.Helper()
	r := &report{}
	c := gather(Flags{}, nil, content{}, content{"reverb.json", []byte(alertFile(alerts))}, r)
	return c, r.err()
}

func TestAlerts(t *testing.T) {
	c, err := loadAlerts(t, `{"high_connection_count":{"threshold":1000,"channels":["slack"]},
		"quiet":{"metric":"1/messages_sent","threshold":0.5,"clear":2,"below":true,"for":"5m"},"none":false}`)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Server.Monitoring.Alerts
	if len(got) != 2 || got[0].Metric != "connections" || *got[0].Threshold != 1000 || got[0].Clear != nil || got[0].Channels[0] != "slack" ||
		got[1].Name != "quiet" || *got[1].Clear != 2 || !got[1].Below || got[1].For != 5*time.Minute {
		t.Errorf("alerts are %+v", got)
	}
	other, _ := loadAlerts(t, `{}`)
	if d := compare(other, c); len(d.Live) != 1 || d.Live[0] != alertSection {
		t.Errorf("the difference is %+v", d)
	}
}

func TestAlertsThatAreRefused(t *testing.T) {
	for _, row := range []struct{ name, alerts, says string }{
		{"a list", `[1]`, "not a map of names"},
		{"no map", `{"a":1}`, "not a map with the keys"},
		{"without a metric", `{"a":{"threshold":1}}`, "metric is required"},
		{"without a threshold", `{"a":{"metric":"connections"}}`, "threshold is required"},
		{"a threshold of words", `{"a":{"metric":"connections","threshold":"many"}}`, "is not a number"},
		{"a clear that is worse", `{"a":{"metric":"connections","threshold":1,"clear":2}}`, "wrong side"},
		{"a clear that is worse, below", `{"a":{"metric":"connections","threshold":2,"clear":1,"below":true}}`, "wrong side"},
		{"an unknown channel", `{"a":{"metric":"connections","threshold":1,"channels":["fax"]}}`, `"fax" is not one of`},
		{"a channel that is not set up", `{"a":{"metric":"connections","threshold":1,"channels":["email"]}}`, "email needs"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := loadAlerts(t, row.alerts); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %q", err, row.says)
			}
		})
	}
}
