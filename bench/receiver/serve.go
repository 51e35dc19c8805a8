package receiver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Counts is what a receiver got.
type Counts struct {
	Requests uint64 `json:"requests"`
	Events   uint64 `json:"events"` // client events in them
}

// ready is the first line a receiver process writes.
type ready struct {
	Port int `json:"port"`
}

// clientEvent begins each event that is counted.
//
// Pusher: webhooks, "client_event".
var clientEvent = []byte(`"name":"client_event"`)

// Serve answers webhooks with 200 in this process: it writes its port to output, and
// its counts for each line read from input, until input ends.
func Serve(input io.Reader, output io.Writer) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var requests, events atomic.Uint64
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			requests.Add(1)
			events.Add(uint64(bytes.Count(ctx.PostBody(), clientEvent)))
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		_ = listener.Close()
		<-served
	}()
	encoder := json.NewEncoder(output)
	if err := encoder.Encode(ready{listener.Addr().(*net.TCPAddr).Port}); err != nil {
		return fmt.Errorf("write port: %w", err)
	}
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		if err := encoder.Encode(Counts{requests.Load(), events.Load()}); err != nil {
			return fmt.Errorf("write counts: %w", err)
		}
	}
	return lines.Err()
}
