package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// proxy stands between clients and a server like those that do not know
// WebSocket, and can hold polling requests back. Safe for concurrent use.
type proxy struct {
	*httptest.Server
	port int

	mu       sync.Mutex
	upgrades int
	gate     chan struct{} // closed to let polling requests pass; nil when they do
	held     chan struct{} // closed when one waits at the gate
}

// proxyTo starts a proxy before a server.
func proxyTo(t *testing.T, s *server) *proxy {
	t.Helper()
	p := &proxy{}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: s.address()}) },
		FlushInterval: -1, // each line at once
		// A connection of its own for each request, none kept: one that the server
		// ends at that moment would lose a request.
		Transport: &http.Transport{DisableKeepAlives: true},
		// Clients and servers that end take their requests with them.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			p.mu.Lock()
			p.upgrades++
			p.mu.Unlock()
			http.Error(w, "upgrades are not for this proxy", http.StatusBadRequest)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/xhr") && !p.pass(r) {
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	at, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	if p.port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
	return p
}

// pass waits until the gate is open and reports whether the client still waits.
func (p *proxy) pass(r *http.Request) bool {
	p.mu.Lock()
	gate := p.gate
	if gate != nil && p.held != nil {
		close(p.held)
		p.held = nil
	}
	p.mu.Unlock()
	if gate == nil {
		return true
	}
	select {
	case <-gate:
		return true
	case <-r.Context().Done():
		return false
	}
}

// hold closes the gate. The channel returned is closed when a polling request
// waits there.
func (p *proxy) hold() (held <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate, p.held = make(chan struct{}), make(chan struct{})
	return p.held
}

// release opens the gate.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.gate)
	p.gate = nil
}

// refused is how many upgrades the proxy has refused.
func (p *proxy) refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.upgrades
}
