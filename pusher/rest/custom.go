package rest

import (
	"bytes"
	"encoding/json"

	"github.com/valyala/fasthttp"

	"resound/pusher"
)

// maxCustomMetrics is how many metrics a request may have.
const maxCustomMetrics = 100

// CustomMetric is a figure that the application counts.
type CustomMetric struct {
	Name    string  // as it came
	Counter bool    // Value is added; otherwise it replaces the last one
	Value   float64 // finite
}

// recordMetrics takes one metric, or a list of them: all or none.
//
// POST /apps/{app_id}/metrics is ours; Pusher and Reverb have no such route.
func (r *request) recordMetrics() error {
	record := r.server.options.RecordMetrics
	if record == nil {
		return r.server.notFound()
	}
	metrics, err := r.customMetrics()
	if err != nil {
		return err
	}
	if err := r.spendEvents(1); err != nil {
		return err
	}
	if err := record(r.app, metrics); err != nil {
		return refuse(fasthttp.StatusUnprocessableEntity, "The metrics are refused: %v.", err)
	}
	r.out = append(r.out, "{}"...)
	return nil
}

// customMetrics reads the body. Names are owned.
func (r *request) customMetrics() ([]CustomMetric, error) {
	type item struct {
		Name  *string  `json:"name"`
		Type  *string  `json:"type"`
		Value *float64 `json:"value"`
	}
	body := bytes.TrimSpace(r.body)
	var items []item
	var err error
	if len(body) > 0 && body[0] == '[' {
		err = json.Unmarshal(body, &items)
	} else {
		items = make([]item, 1)
		err = json.Unmarshal(body, &items[0])
	}
	switch {
	case err != nil || !pusher.ValidDepth(view(body)):
		return nil, badRequest(`Bad request. The body is not {"name":"custom_metric","value":1} or a list of such objects.`)
	case len(items) == 0 || len(items) > maxCustomMetrics:
		return nil, refuse(fasthttp.StatusUnprocessableEntity, "%d metrics; a request may have 1 to %d.", len(items), maxCustomMetrics)
	}
	metrics := make([]CustomMetric, 0, len(items))
	for i, m := range items {
		switch {
		case m.Name == nil:
			return nil, refuse(fasthttp.StatusUnprocessableEntity, "Metric %d has no name.", i)
		case m.Value == nil:
			return nil, refuse(fasthttp.StatusUnprocessableEntity, "Metric %d has no value.", i)
		case m.Type != nil && *m.Type != "gauge" && *m.Type != "counter":
			return nil, refuse(fasthttp.StatusUnprocessableEntity, "Metric %d has another type than gauge and counter.", i)
		}
		metrics = append(metrics, CustomMetric{Name: *m.Name, Counter: m.Type != nil && *m.Type == "counter", Value: *m.Value})
	}
	return metrics, nil
}
