package rest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"resound/pusher"
)

// scrape sends GET /metrics from an address, as header lines say.
func (f *fixture) scrape(remote string, header ...string) *fasthttp.RequestCtx {
	var ctx fasthttp.RequestCtx
	var request fasthttp.Request
	request.SetRequestURI("/metrics")
	request.Header.SetHost("127.0.0.1:8080")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	addr, err := net.ResolveTCPAddr("tcp", remote)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx.Init(&request, addr, nil)
	f.server.Handle(&ctx)
	return &ctx
}

func TestWhoMayReadTheMetrics(t *testing.T) {
	const local, remote = "127.0.0.1:1234", "192.0.2.1:1234"
	token := MetricsAccess{Token: "sesame"}
	for _, row := range []struct {
		name   string
		access MetricsAccess
		from   string
		header []string
		want   int
	}{
		{"a program of this host", MetricsAccess{}, local, nil, 200},
		{"by the name of the host", MetricsAccess{}, local, []string{"Host", "LOCALHOST:8080"}, 200},
		{"over IPv6", MetricsAccess{}, "[::1]:1234", []string{"Host", "[::1]:8080"}, 200},
		{"another host", MetricsAccess{}, remote, nil, 403},
		{"a proxy of this host that keeps the Host", MetricsAccess{}, local, []string{"Host", "ws.example.com"}, 403},
		{"a proxy of this host that says for whom", MetricsAccess{}, local, []string{"X-Forwarded-For", "192.0.2.1"}, 403},
		{"a proxy that says so in the standard's way", MetricsAccess{}, local, []string{"Forwarded", "for=192.0.2.1"}, 403},
		{"a page that gave its name a local address", MetricsAccess{}, local, []string{"Host", "127.0.0.1.example.com"}, 403},
		{"public", MetricsAccess{Public: true}, remote, nil, 200},
		{"switched off", MetricsAccess{Off: true, Token: "sesame"}, local, []string{"Authorization", "Bearer sesame"}, 404},
		{"with the token", token, remote, []string{"Authorization", "Bearer sesame"}, 200},
		{"with a wrong token", token, remote, []string{"Authorization", "Bearer sesam"}, 401},
		{"with the token in another scheme", token, remote, []string{"Authorization", "Basic sesame"}, 401},
		{"of this host without the token", token, local, nil, 401},
		{"public without the token", MetricsAccess{Public: true, Token: "sesame"}, remote, nil, 401},
		{"with an empty token", token, remote, []string{"Authorization", "Bearer "}, 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
				o.Metrics = MetricsOptions{
					Write:  func(w io.Writer) error { _, err := io.WriteString(w, "resound_up 1\n"); return err },
					Access: func() MetricsAccess { return row.access },
				}
			})
			ctx := f.scrape(row.from, row.header...)
			body := string(ctx.Response.Body())
			if got := ctx.Response.StatusCode(); got != row.want {
				t.Errorf("got %d %s, want %d", got, body, row.want)
			}
			if (body == "resound_up 1\n") != (row.want == 200) || strings.Contains(body, "sesame") {
				t.Errorf("the body is %q", body)
			}
			if row.want == 401 && string(ctx.Response.Header.Peek("WWW-Authenticate")) != "Bearer" {
				t.Error("a 401 does not say how to authenticate")
			}
		})
	}
}

func TestMetricsThatFail(t *testing.T) {
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.Metrics.Write = func(w io.Writer) error {
			_, _ = io.WriteString(w, "half of i")
			return errors.New("no")
		}
	})
	ctx := f.scrape("127.0.0.1:1")
	if got, body := ctx.Response.StatusCode(), string(ctx.Response.Body()); got != 500 || strings.Contains(body, "half") {
		t.Errorf("got %d %q", got, body)
	}
	if ctx := newFixture(t, nil).scrape("127.0.0.1:1"); ctx.Response.StatusCode() != 404 {
		t.Errorf("a server without metrics answers %d", ctx.Response.StatusCode())
	}
}

func TestScrapesAreBounded(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.Metrics.Write = func(io.Writer) error {
			inside <- struct{}{}
			<-release
			return nil
		}
	})
	done := make(chan int, maxScrapes)
	for range maxScrapes {
		go func() { done <- f.scrape("127.0.0.1:1").Response.StatusCode() }()
		<-inside
	}
	if got := f.scrape("127.0.0.1:1").Response.StatusCode(); got != 503 {
		t.Errorf("one more than %d: got %d, want 503", maxScrapes, got)
	}
	close(release)
	for range maxScrapes {
		if got := <-done; got != 200 {
			t.Errorf("got %d, want 200", got)
		}
	}
}

func TestAcceptTraffic(t *testing.T) {
	for _, row := range []struct {
		name   string
		why    string
		change func(*fixture)
		status int
		body   string
	}{
		{"room", "", nil, 200, `{"accept":true}`},
		{"too much", "memory: 99 %", nil, 503, `{"accept":false,"reason":"memory: 99 %"}`},
		{"draining", "", func(f *fixture) { f.node.Drain() }, 503, `{"accept":false,"reason":"draining"}`},
		{"over capacity", "", func(f *fixture) { f.node.full = true }, 503, `{"accept":false,"reason":"over capacity"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.TooMuch = func() string { return row.why } })
			if row.change != nil {
				row.change(f)
			}
			f.send("GET", "/accept-traffic", "").check(t, row.status, row.body)
		})
	}
	newFixture(t, nil).send("GET", "/accept-traffic", "").check(t, 200, `{"accept":true}`)
}

// TestWhoIsLocalBehindAProxy: only who connects directly is.
func TestWhoIsLocalBehindAProxy(t *testing.T) {
	for _, row := range []struct {
		client string
		direct bool
		want   int
	}{
		{"127.0.0.1:1", true, 200},
		{"127.0.0.1:1", false, 403}, // a PROXY header says so
		{"192.0.2.1:1", true, 403},
		{"", false, 403}, // a Unix socket
	} {
		var told [][]byte
		f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
			o.Metrics = MetricsOptions{Write: func(io.Writer) error { return nil }}
			o.Client = func(_ net.Conn, forwardedFor [][]byte) (netip.AddrPort, bool) {
				told = forwardedFor
				client, _ := netip.ParseAddrPort(row.client)
				return client, row.direct
			}
		})
		if got := f.scrape("127.0.0.1:1").Response.StatusCode(); got != row.want || len(told) > 0 {
			t.Errorf("%s, direct %t: got %d, want %d; told %q", row.client, row.direct, got, row.want, told)
		}
		if got := f.scrape("127.0.0.1:1", "X-Forwarded-For", "127.0.0.1").Response.StatusCode(); got != 403 || len(told) != 1 || string(told[0]) != "127.0.0.1" {
			t.Errorf("%s behind a proxy: got %d, want 403; told %q", row.client, got, told)
		}
	}
}

// TestConsoleSeesTheClient: what it logs is not the proxy.
func TestConsoleSeesTheClient(t *testing.T) {
	for client, want := range map[string]string{"203.0.113.7:0": "203.0.113.7:0", "": "pipe"} {
		f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
			o.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
			o.Client = func(net.Conn, [][]byte) (netip.AddrPort, bool) {
				a, _ := netip.ParseAddrPort(client)
				return a, false
			}
		})
		if got := f.send("GET", "/reverb", "").body; got != want {
			t.Errorf("with client %q it sees %s, want %s", client, got, want)
		}
	}
}
