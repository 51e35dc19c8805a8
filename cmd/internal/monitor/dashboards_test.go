package monitor

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// seriesLabels are the labels of every metric there is, those that Prometheus adds
// included.
func seriesLabels(t *testing.T) map[string][]string {
	t.Helper()
	s := full(1)
	s.Custom = []Custom{{App: "app-0000", Name: "orders", Kind: Gauge, Value: 1}, {App: "app-0000", Name: "sold", Kind: Counter, Value: 2}}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, s, 0)))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{"up": {"job", "instance"}}
	for name, f := range families {
		labels := []string{"job", "instance"}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels = append(labels, l.GetName())
			}
		}
		known[name] = labels
	}
	return known
}

// token is a word, a string or a sign of PromQL. Whether an expression is one,
// promtool says; here only names matter.
var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\$?[A-Za-z_:][A-Za-z0-9_:.]*|[0-9.]+|=~|!~|!=|[^\s]`)

var (
	word     = regexp.MustCompile(`^[A-Za-z_:]`)
	grouping = []string{"by", "without", "on", "ignoring"}
	operator = []string{"and", "or", "unless", "bool", "offset"}
)

// used returns the metrics of an expression with the labels by which each is
// chosen, and the labels by which results are grouped.
func used(expr string) (metrics map[string][]string, groups []string) {
	metrics = map[string][]string{}
	tokens := token.FindAllString(expr, -1)
	at := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	list := func(i int, end string) (words []string, last int) {
		for ; i < len(tokens) && tokens[i] != end; i++ {
			if word.MatchString(tokens[i]) {
				words = append(words, tokens[i])
			}
		}
		return words, i
	}
	for i := 0; i < len(tokens); i++ {
		switch name := tokens[i]; {
		case !word.MatchString(name), slices.Contains(operator, name):
		case slices.Contains(grouping, name):
			var words []string
			words, i = list(i+2, ")")
			groups = append(groups, words...)
		case at(i+1) == "(", slices.Contains(grouping, at(i+1)): // a function or an aggregation
		default:
			var words []string
			if at(i+1) == "{" {
				words, i = list(i+2, "}")
			}
			metrics[name] = append(metrics[name], words...)
		}
	}
	return metrics, groups
}

func TestUsedFindsNames(t *testing.T) {
	metrics, groups := used(`sum by (app, code) (rate(a_total{app=~"$app",x!="by (y)"}[$__rate_interval])) / on (instance) (b > 0) and c`)
	if got, want := fmt.Sprint(metrics, groups), "map[a_total:[app x] b:[] c:[]] [app code instance]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// expectKnown checks an expression against the metrics and labels there are.
// Placeholders are what its legend or its annotations make of the labels.
func expectKnown(t *testing.T, known map[string][]string, expr string, placeholders []string) {
	t.Helper()
	metrics, groups := used(expr)
	if len(metrics) == 0 {
		t.Errorf("%s: got no metric, want one", expr)
	}
	aggregated := len(groups) > 0 || regexp.MustCompile(`\b(sum|max|min|avg|count)\b`).MatchString(expr)
	for name, labels := range metrics {
		has, exists := known[name]
		if !exists {
			t.Errorf("%s: there is no metric %s", expr, name)
			continue
		}
		for _, label := range append(labels, groups...) {
			if !slices.Contains(has, label) {
				t.Errorf("%s: %s has no label %s", expr, name, label)
			}
		}
		for _, label := range placeholders {
			if !slices.Contains(has, label) || aggregated && !slices.Contains(groups, label) {
				t.Errorf("%s: its series have no label %s to be named by", expr, label)
			}
		}
	}
}

func TestGrafanaDashboardShowsWhatThereIs(t *testing.T) {
	known := seriesLabels(t)
	text, err := os.ReadFile("../../../scripts/grafana/resound.json")
	if err != nil {
		t.Fatal(err)
	}
	type source struct{ Type, UID string }
	type place struct{ H, W, X, Y int }
	var d struct {
		UID, Title    string
		SchemaVersion int
		Templating    struct {
			List []struct {
				Name, Type string
				Query      any
				Datasource source
			}
		}
		Annotations struct {
			List []struct {
				Expr, TextFormat string
				Datasource       source
			}
		}
		Panels []struct {
			ID          int
			Type, Title string
			Datasource  source
			GridPos     place
			FieldConfig struct{ Defaults struct{ Unit string } }
			Targets     []struct {
				RefID, Expr, LegendFormat string
				Datasource                source
			}
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 39 {
		t.Errorf("got uid %q, title %q, schema %d, want the first two and at least 39", d.UID, d.Title, d.SchemaVersion)
	}

	variables := map[string]bool{"datasource": false, "job": false, "instance": false, "app": false}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
		query, isMap := v.Query.(map[string]any)
		if !isMap {
			continue
		}
		ask := fmt.Sprint(query["query"])
		inner := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(ask)
		if inner == nil {
			t.Errorf("variable %s: got %q, want label_values(METRIC, LABEL)", v.Name, ask)
			continue
		}
		expectKnown(t, known, inner[1], inner[2:])
	}
	for name, defined := range variables {
		if !defined {
			t.Errorf("got no variable %s, want it", name)
		}
	}
	expectVariables := func(expr string) {
		for _, found := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(expr, -1) {
			if _, defined := variables[found[1]]; !defined && found[1] != "__rate_interval" {
				t.Errorf("%s: there is no variable %s", expr, found[1])
			}
		}
	}
	placeholders := func(format string) (labels []string) {
		for _, found := range regexp.MustCompile(`{{ *(\w+) *}}`).FindAllStringSubmatch(format, -1) {
			labels = append(labels, found[1])
		}
		return labels
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			expectKnown(t, known, a.Expr, placeholders(a.TextFormat))
			expectVariables(a.Expr)
		}
	}

	ids, titles := map[int]bool{}, map[string]bool{}
	var places []place
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: got an id or a title that another has, or none", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for _, o := range places {
			if g := p.GridPos; g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				t.Errorf("panel %q lies on another", p.Title)
			}
		}
		places = append(places, p.GridPos)
		if p.Type == "row" {
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: got unit %q and %d queries, want both", p.Title, p.FieldConfig.Defaults.Unit, len(p.Targets))
		}
		if p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q: got data source %q, want the variable", p.Title, p.Datasource.UID)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q: got data source %q of a query, want the variable", p.Title, q.Datasource.UID)
			}
			expectKnown(t, known, q.Expr, placeholders(q.LegendFormat))
			expectVariables(q.Expr)
			if !strings.Contains(q.Expr, `job=~"$job",instance=~"$instance"`) {
				t.Errorf("%s: want the chosen job and nodes only", q.Expr)
			}
		}
	}
}

func TestPrometheusRulesAskForWhatThereIs(t *testing.T) {
	known := seriesLabels(t)
	text, err := os.ReadFile("../../../scripts/prometheus/resound.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if alerts[r.Alert] || r.Alert == "" {
				t.Errorf("got alert %q twice or without a name", r.Alert)
			}
			alerts[r.Alert] = true
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: want a severity, a summary and a description", r.Alert)
			}
			var placeholders []string
			for _, text := range r.Annotations {
				for _, found := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
					placeholders = append(placeholders, found[1])
				}
			}
			expectKnown(t, known, r.Expr, placeholders)
		}
	}
	if len(alerts) == 0 {
		t.Error("got no alerts, want some")
	}
}

// TestDocumentedMetricsAreThoseThereAre reads the table of docs/MONITORING.md, in
// which a name that begins with _ is the end of one.
func TestDocumentedMetricsAreThoseThereAre(t *testing.T) {
	known := seriesLabels(t)
	text, err := os.ReadFile("../../../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([a-z_]+)`")
	table := regexp.MustCompile(`(?m)^\| metrics \|.*\n(?:\|.*\n)+`).FindString(string(text))
	documented := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		for _, found := range quoted.FindAllStringSubmatch(cells[1], -1) {
			matched := false
			for name := range known {
				if name == found[1] || found[1][0] == '_' && strings.HasSuffix(name, found[1]) {
					matched, documented[name] = true, true
				}
			}
			if !matched {
				t.Errorf("docs/MONITORING.md: there is no metric %s", found[1])
			}
		}
		for _, label := range quoted.FindAllStringSubmatch(cells[2], -1) {
			of := func(name string) bool {
				return documented[name] && slices.Contains(known[name], label[1]) && strings.HasPrefix(name, "resound_")
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(known)), of) {
				t.Errorf("docs/MONITORING.md: no metric has the label %s", label[1])
			}
		}
	}
	for name := range known {
		if !documented[name] && name != "up" && !strings.HasPrefix(name, "go_") {
			t.Errorf("docs/MONITORING.md: the metric %s is missing", name)
		}
	}
}
