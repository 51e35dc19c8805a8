package rest

import (
	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"
)

// up answers as long as the process can answer at all.
//
// Reverb: GET /up.
func (r *request) up() error {
	r.out = append(r.out, `{"health":"OK"}`...)
	return nil
}

// ready answers 503 while the node should get no traffic: a load balancer takes
// it out, and nothing restarts it.
func (r *request) ready() error {
	state := r.server.readiness()
	if state.Waiting != "" {
		return &refusal{
			status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
			json: string(gjson.AppendJSONString([]byte(`{"ready":false,"reason":`), state.Waiting)) + "}",
		}
	}
	r.out = append(r.out, `{"ready":true`...)
	r.appendMember("degraded", state.Degraded)
	r.appendMember("version", r.server.options.Version)
	r.out = append(r.out, '}')
	return nil
}

// acceptTraffic answers 503 while new clients should go to another node. A node
// that is full answers so before /ready does.
//
// The route is of soketi.
func (r *request) acceptTraffic() error {
	why := r.server.readiness().Waiting
	if o := &r.server.options; why == "" && o.TooMuch != nil {
		why = o.TooMuch()
	}
	if why != "" {
		return &refusal{
			status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
			json: string(gjson.AppendJSONString([]byte(`{"accept":false,"reason":`), why)) + "}",
		}
	}
	r.out = append(r.out, `{"accept":true}`...)
	return nil
}

func (r *request) appendMember(key, value string) {
	if value == "" {
		return
	}
	r.out = append(r.out, `,"`...)
	r.out = append(r.out, key...)
	r.out = append(r.out, `":`...)
	r.out = gjson.AppendJSONString(r.out, value)
}

func (s *Server) readiness() Readiness {
	var state Readiness
	if s.options.Ready != nil {
		state = s.options.Ready()
	}
	node := s.options.Node
	if state.Degraded == "" && node.Degraded() {
		state.Degraded = "redis"
	}
	switch {
	case state.Waiting != "":
	case node.Draining():
		state.Waiting = "draining"
	case node.OverCapacity():
		state.Waiting = "over capacity"
	case s.options.RefuseDegraded && node.Degraded():
		state.Waiting = "degraded"
	}
	return state
}
