package dashboard

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"time"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/alert"
	"resound/cmd/internal/monitor/history"
)

//go:embed assets
var assets embed.FS

// Node is what the dashboard shows. Safe for concurrent use.
type Node interface {
	Snapshot() monitor.Snapshot

	// Nodes returns the nodes of the cluster, this one first and alone while the
	// others are out of reach; nil when the node is alone for good.
	Nodes(ctx context.Context) []monitor.Node

	// Channels returns the occupied channels, by app and name.
	Channels(app, prefix string) ([]control.Channel, error)

	// Users returns ids of the members of a presence channel, at most most, and how
	// many there are.
	Users(app, channel string, most int) (ids []string, total int, err error)

	// Tail returns the events from now on. The caller must close it.
	Tail(q control.TailQuery) (*control.Feed, error)

	// Watch calls f for each event from now on, on goroutines that must not wait;
	// channel is a view. ok is false when too many watch.
	Watch(f func(app, channel string)) (stop func(), ok bool)

	// Send publishes an event. The error says what is wrong with it.
	Send(app, channel, name, data string) error

	History() *history.Store // nil: none
	Alerts() []alert.State
}

// Options of a Dashboard.
type Options struct {
	Node Node // required

	// Access says who may look now.
	Access func() Access

	// Path stands before /reverb in the URLs of browsers, as "/ws".
	Path string

	Secure bool             // the node speaks TLS
	Now    func() time.Time // nil means time.Now
	Logger *slog.Logger     // nil discards
}

// Dashboard answers /reverb and what is below it.
type Dashboard struct {
	options Options
	mux     *http.ServeMux
	access  *access
	live    live
	life    context.Context // ends with Close
	die     context.CancelFunc
}

// New returns a dashboard. Close it.
func New(o Options) *Dashboard {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dashboard{options: o, mux: http.NewServeMux(), access: newAccess(&o)}
	d.life, d.die = context.WithCancel(context.Background())
	d.live.node, d.live.now = o.Node, o.Now
	d.mux.HandleFunc("GET /reverb", d.page)
	d.mux.HandleFunc("GET /reverb/app.js", asset("app.js", "text/javascript; charset=utf-8"))
	d.mux.HandleFunc("GET /reverb/chart.js", asset("chart.js", "text/javascript; charset=utf-8"))
	d.mux.HandleFunc("GET /reverb/style.css", asset("style.css", "text/css; charset=utf-8"))
	d.mux.HandleFunc("POST /reverb/login", d.login)
	d.mux.Handle("GET /reverb/session", d.allowed(d.session))
	d.mux.Handle("GET /reverb/live", d.allowed(d.streamLive))
	d.mux.Handle("GET /reverb/tail", d.allowed(d.streamTail))
	d.mux.Handle("GET /reverb/history", d.allowed(d.history))
	d.mux.Handle("GET /reverb/channels", d.allowed(d.channels))
	d.mux.Handle("GET /reverb/users", d.allowed(d.users))
	d.mux.Handle("POST /reverb/events", d.allowed(d.writes(d.send)))
	d.mux.Handle("POST /reverb/logout", d.allowed(d.writes(d.logout)))
	return d
}

// Close ends every stream.
func (d *Dashboard) Close() { d.die() }

// Link returns a path with a token that opens the dashboard once.
func (d *Dashboard) Link() string { return d.options.Path + "/reverb?token=" + d.access.newLink() }

// ServeHTTP answers a request.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// Nothing of others is loaded, nothing inline runs, no page frames this one.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !d.options.Access().Enabled {
		http.Error(w, "The dashboard is switched off (monitoring.dashboard.enabled).", http.StatusNotFound)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// page is the dashboard, or the form that asks for the password. A token in the
// URL becomes a session first.
func (d *Dashboard) page(w http.ResponseWriter, r *http.Request) {
	if token := r.URL.Query().Get("token"); token != "" {
		if d.access.takeLink(token) {
			d.access.begin(w, r)
		}
		http.Redirect(w, r, d.options.Path+"/reverb", http.StatusSeeOther)
		return
	}
	name, status := "index.html", http.StatusOK
	if !d.access.allows(r) {
		name, status = "login.html", http.StatusUnauthorized
	}
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func asset(name, contentType string) http.HandlerFunc {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(text)
	}
}
