package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// receiverEnv makes the test binary a receiver of webhooks: an application's own
// server, in a process that can be killed. Its value is the address to listen on.
const receiverEnv = "RESOUND_E2E_RECEIVER"

// reaction is how a receiver answers.
type reaction struct {
	Status   int    `json:"status"`   // 0 means not at all
	DelayMS  int    `json:"delay_ms"` // before the answer
	Location string `json:"location"` // of a redirect
	Endless  bool   `json:"endless"`  // whether the answer's body never ends
}

// delivery is one request to a receiver, as it prints it on a line of its own.
type delivery struct {
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"` // names in lower case
	Body    string            `json:"body"`
	Status  int               `json:"status"` // of the answer to come; 0 for none
	AtMS    int64             `json:"at_ms"`
}

// receive serves webhooks until the process is killed. PUT /reaction says how the
// next ones are answered.
func receive(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	var mu sync.Mutex // of standard output too
	now := reaction{Status: http.StatusOK}
	routes := http.NewServeMux()
	routes.HandleFunc("PUT /reaction", func(w http.ResponseWriter, r *http.Request) {
		var next reaction
		if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		now = next
	})
	routes.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // half a webhook is none
		}
		got := delivery{Path: r.URL.Path, Headers: map[string]string{}, Body: string(body), AtMS: time.Now().UnixMilli()}
		for name := range r.Header {
			got.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		mu.Lock()
		how := now
		got.Status = how.Status
		line, _ := json.Marshal(got) // texts and numbers always encode
		fmt.Fprintf(os.Stdout, "%s\n", line)
		mu.Unlock()
		if how.Status == 0 {
			<-r.Context().Done()
			return
		}
		select {
		case <-time.After(time.Duration(how.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		if how.Location != "" {
			w.Header().Set("Location", how.Location)
		}
		w.WriteHeader(how.Status)
		if how.Endless {
			sent := 0
			for err == nil {
				var n int
				n, err = w.Write(make([]byte, 4096))
				sent += n
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(os.Stdout, "cut off after %d bytes\n", sent)
		}
	})
	fmt.Fprintf(os.Stdout, "receiver at %s\n", listener.Addr())
	server := &http.Server{Handler: routes, ReadHeaderTimeout: patience}
	return server.Serve(listener)
}
