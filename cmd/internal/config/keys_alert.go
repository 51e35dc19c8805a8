package config

import (
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// maxAlerts bounds the alerts of a node.
const maxAlerts = 100

// alertSection is where alerts stand in the file.
const alertSection = serverSection + "monitoring.alerts"

// alertPath is the path of an alert with its last dot.
func alertPath(name string) string { return alertSection + "." + name + "." }

// alertMetrics are the metrics of alerts whose name says what they watch.
//
// Reverb: its documentation has high_connection_count.
var alertMetrics = map[string]string{"high_connection_count": "connections"}

// Series that an alert can watch, as the history names them: those of the node, and
// those of an app behind its id and a slash. Custom metrics are ID/custom/NAME.
var (
	NodeSeries = []string{
		"channels", "connections", "connections_opened", "cpu_percent", "errors", "goroutines", "http_errors", "http_requests",
		"lag_seconds", "mailbox_items", "memory_bytes", "messages_received", "messages_sent", "refusals", "slow_connections",
	}
	AppSeries = []string{"channels", "connections", "events_triggered", "messages_received", "messages_sent", "subscriptions"}
)

const (
	customSeries = "custom/"

	// otherApps stands for the apps that have no series of their own.
	otherApps = "other apps"
)

// Channels of an alert.
const (
	channelSlack   = "slack"
	channelEmail   = "email"
	channelWebhook = "webhook"
)

// alertKeys declares one entry of `monitoring.alerts`. Alerts are set in the file
// only.
var alertKeys = []key[Alert]{
	{
		spec{
			path: "metric", null: "`connections` for an alert named `high_connection_count`, else required",
			meaning: "Series of the history that is watched: `connections`, `cpu_percent`, `errors`, `123456/messages_sent`, `123456/custom/orders`.",
		},
		func(a *Alert) any { return &a.Metric },
	},
	{
		spec{path: "threshold", null: "required", meaning: "The alert begins when the figure is above it."},
		func(a *Alert) any { return &a.Threshold },
	},
	{
		spec{
			path: "clear", null: "a tenth of the threshold nearer to where all is well",
			meaning: "The alert ends when the figure is back at this value or beyond.",
		},
		func(a *Alert) any { return &a.Clear },
	},
	{
		spec{path: "below", fallback: "false", meaning: "The alert begins when the figure is below the threshold."},
		func(a *Alert) any { return &a.Below },
	},
	{
		spec{
			path: "for", fallback: "0", max: int64(24 * time.Hour),
			meaning: "How long the figure must be bad before the alert begins, and be well before it ends. Figures are read every ten seconds.",
		},
		func(a *Alert) any { return &a.For },
	},
	{
		spec{path: "channels", null: "none, only the dashboard and the log", meaning: "Who is told: `slack`, `email`, `webhook`."},
		func(a *Alert) any { return &a.Channels },
	},
}

// alerts reads `monitoring.alerts` below the server.
func (l *loader) alerts(server map[string]any) []Alert {
	value, _ := lookup(server, "monitoring.alerts")
	if isOff(value) {
		return nil
	}
	tree, isMap := value.(map[string]any)
	if !isMap {
		l.report.fail("%s: %s: not a map of names to alerts", l.file.name, alertSection)
		return nil
	}
	known := &schema{}
	for _, k := range alertKeys {
		known.add(k.path, used)
	}
	var alerts []Alert
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if isOff(tree[name]) {
			continue
		}
		below, isMap := tree[name].(map[string]any)
		if !isMap {
			l.report.fail("%s: %s.%s: not a map with the keys of an alert", l.file.name, alertSection, shorten(name))
			continue
		}
		known.inspect(below, alertPath(shorten(name)), l.report)
		a := Alert{Name: shorten(name)}
		resolve(l, alertKeys, section{tree: below, path: alertPath(a.Name), prefix: "-"}, &a)
		if a.Metric == "" {
			a.Metric = alertMetrics[name]
		}
		alerts = append(alerts, a)
	}
	return alerts
}

// checkAlerts reports alerts that could not begin, end or be told.
func (m *Monitoring) checkAlerts(apps []App, r *report) {
	if len(m.Alerts) > maxAlerts {
		r.fail("%s: %d alerts, the most there may be are %d", alertSection, len(m.Alerts), maxAlerts)
	}
	usable := map[string]bool{channelSlack: m.SlackURL != "", channelWebhook: m.WebhookURL != "", channelEmail: m.SMTP != "" && m.MailFrom != "" && len(m.MailTo) > 0}
	needs := map[string]string{channelSlack: "slack.url", channelWebhook: "webhook.url", channelEmail: "email.smtp, .from and .to"}
	for i := range m.Alerts {
		a := &m.Alerts[i]
		path := alertPath(a.Name)
		if a.Metric == "" {
			r.fail("%smetric is required", path)
		} else if wrong := wrongMetric(a.Metric, apps); wrong != "" {
			r.warn(path+"metric", wrong+": the alert never begins")
		}
		switch {
		case a.Threshold == nil:
			r.fail("%sthreshold is required", path)
		case a.Clear != nil && (*a.Clear > *a.Threshold) != a.Below && *a.Clear != *a.Threshold:
			r.fail("%sclear: %v is on the wrong side of the threshold %v", path, *a.Clear, *a.Threshold)
		}
		for _, c := range a.Channels {
			if ready, known := usable[c]; !known {
				r.fail("%schannels: %q is not one of slack, email, webhook", path, shorten(c))
			} else if !ready {
				r.fail("%schannels: %s needs %smonitoring.channels.%s", path, c, serverSection, needs[c])
			}
		}
	}
	for _, to := range m.MailTo {
		if _, err := mail.ParseAddress(to); err != nil {
			r.fail("%smonitoring.channels.email.to: %q is not a mail address", serverSection, shorten(to))
		}
	}
}

// wrongMetric says why a metric is none that the history ever has, or nothing.
func wrongMetric(metric string, apps []App) string {
	id, name, ofApp := strings.Cut(metric, "/")
	known := AppSeries
	if !ofApp {
		name, known = metric, NodeSeries
	}
	custom, isCustom := strings.CutPrefix(name, customSeries)
	switch {
	case ofApp && id != otherApps && !slices.ContainsFunc(apps, func(a App) bool { return a.ID == id }):
		return fmt.Sprintf("there is no app %q", shorten(id))
	case ofApp && id != otherApps && isCustom && custom != "", slices.Contains(known, name):
		return ""
	}
	return fmt.Sprintf("%q is no series of the history%s", shorten(metric), suggestion(name, known))
}
