package rest

import (
	"errors"
	"strings"
	"testing"

	"resound/pusher"
)

func TestCustomMetrics(t *testing.T) {
	var got []CustomMetric
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.RecordMetrics = func(a *pusher.App, m []CustomMetric) error {
			if a.ID != appID {
				t.Errorf("app is %s", a.ID)
			}
			if m[0].Name == "full" {
				return errors.New("too many names")
			}
			got = append(got, m...)
			return nil
		}
	})
	for _, row := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"one", `{"name":"orders","value":1.5}`, 200, "{}"},
		{"a list", `[{"name":"orders","value":-2},{"name":"paid","value":3,"type":"counter"}]`, 200, "{}"},
		{"nothing", ``, 400, "name"},
		{"no JSON", `{`, 400, "The body is not"},
		{"a text for a value", `{"name":"a","value":"1"}`, 400, "The body is not"},
		{"a number beyond all numbers", `{"name":"a","value":1e999}`, 400, "The body is not"},
		{"an empty list", `[]`, 422, "0 metrics"},
		{"a long list", "[" + strings.Repeat(`{"name":"a","value":1},`, 100) + `{"name":"a","value":1}]`, 422, "101 metrics"},
		{"without a name", `{"value":1}`, 422, "Metric 0 has no name"},
		{"without a value", `[{"name":"a","value":1},{"name":"a"}]`, 422, "Metric 1 has no value"},
		{"another type", `{"name":"a","value":1,"type":"histogram"}`, 422, "another type"},
		{"refused by the node", `{"name":"full","value":1}`, 422, "too many names"},
		{"deep", strings.Repeat("[", 3000) + strings.Repeat("]", 3000), 400, "The body is not"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := f.do("POST", "/apps/"+appID+"/metrics", row.body)
			if got.status != row.status || !strings.Contains(got.body, row.says) {
				t.Errorf("got %d %q, want %d %q", got.status, got.body, row.status, row.says)
			}
		})
	}
	want := []CustomMetric{{"orders", false, 1.5}, {"orders", false, -2}, {"paid", true, 3}}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("recorded %v, want %v", got, want)
	}
}
