//go:build !race

package rest

import (
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTriggerAllocatesNothing(t *testing.T) {
	tests := []struct {
		name, body string
		want       float64
	}{
		{"one_channel", `{"name":"App\\Events\\OrderShipped","channel":"orders","data":"{\"id\":1,\"text\":\"{}[]\"}"}`, 0},
		{"three_channels_and_socket_id", `{"name":"e","channels":["a","b","c"],"data":"x","socket_id":"1.2"}`, 0},
		{"with_info", `{"name":"e","channels":["a","b"],"data":"x","info":"user_count,subscription_count"}`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newBenchServer(t, nil)
			var ctx fasthttp.RequestCtx
			ctx.Request.Header.SetHost("x")
			ctx.Request.Header.SetMethod("POST")
			ctx.Request.SetRequestURI(eventsPath + "?" + sign("POST", eventsPath, nil, tt.body))
			ctx.Request.SetBodyString(tt.body)
			run := func() {
				ctx.Response.Reset()
				s.Handle(&ctx)
			}
			run()
			if ctx.Response.StatusCode() != 200 {
				t.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
			}
			if got := testing.AllocsPerRun(200, run); got != tt.want {
				t.Errorf("%v allocations, want %v", got, tt.want)
			}
		})
	}
}
