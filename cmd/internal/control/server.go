package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"time"

	"resound/cmd/internal/monitor"
)

const (
	// maxRequests is how many requests are served at a time, 503 above.
	maxRequests = 64

	// headerTimeout is how long a request may take to come.
	headerTimeout = 5 * time.Second

	// lineBuffer is what is gathered before it is written.
	lineBuffer = 16 << 10
)

// Options of a Server.
type Options struct {
	Node      Node // required
	Profiling bool // serve /debug/pprof/

	// Logger gets what goes wrong. Nil discards.
	Logger *slog.Logger
}

// Server answers on a control socket. Safe for concurrent use.
type Server struct {
	node     Node
	log      *slog.Logger
	listener *Listener
	http     http.Server
	places   chan struct{}
	ended    chan struct{}
}

// Serve begins to answer on l, which the server closes.
func Serve(l *Listener, o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{node: o.Node, log: o.Logger, listener: l, places: make(chan struct{}, maxRequests), ended: make(chan struct{})}
	s.http = http.Server{
		Handler:           s.bounded(s.routes(o.Profiling)),
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("control socket", "error", err)
		}
	}()
	return s
}

// Path is where the socket is.
func (s *Server) Path() string { return s.listener.Path }

// Close ends every request and removes the socket.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.ended
	_ = s.listener.Close()
}

func (s *Server) routes(profiling bool) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /status", s.status)
	m.HandleFunc("GET /connections", s.connections)
	m.HandleFunc("GET /channels", s.channels)
	m.HandleFunc("GET /tail", s.tail)
	m.HandleFunc("GET /credentials", s.credentials)
	m.HandleFunc("GET /metrics", s.metrics)
	m.HandleFunc("GET /history", s.history)
	m.HandleFunc("POST /history", s.importHistory)
	m.HandleFunc("POST /custom-metrics", s.recordCustom)
	m.HandleFunc("POST /dashboard-link", s.dashboardLink)
	m.HandleFunc("POST /reload", s.reload)
	m.HandleFunc("POST /restart", s.restart)
	m.HandleFunc("POST /stop", s.stop)
	if profiling {
		m.HandleFunc("GET /debug/pprof/", pprof.Index)
		m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return m
}

// bounded answers 503 when too many requests are under way.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
			next.ServeHTTP(w, r)
		default:
			s.fail(w, http.StatusServiceUnavailable, errors.New("too many commands are under way"))
		}
	})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	answer(w, Status{s.node.Snapshot(), s.node.Nodes(r.Context())})
}

func (s *Server) channels(w http.ResponseWriter, r *http.Request) {
	list, err := s.node.Channels(r.FormValue("app"), r.FormValue("prefix"))
	if err != nil {
		s.refuse(w, err)
		return
	}
	lines := newLines(w)
	for i := range list {
		if lines.write(&list[i]) != nil {
			return // the client left
		}
	}
	_ = lines.flush()
}

func (s *Server) credentials(w http.ResponseWriter, r *http.Request) {
	c, err := s.node.Credentials(r.FormValue("app"))
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, c)
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", monitor.ContentType)
	if err := s.node.WriteMetrics(w); err != nil {
		s.log.Warn("metrics", "error", err)
		panic(http.ErrAbortHandler) // a part must not look like the whole
	}
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	done, err := s.node.Reload(r.Context())
	if err != nil {
		s.fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	answer(w, done)
}

func (s *Server) restart(w http.ResponseWriter, r *http.Request) {
	pid, err := s.node.Restart(r.Context())
	if err != nil {
		s.fail(w, http.StatusConflict, err)
		return
	}
	answer(w, Restarted{PID: pid})
}

// maxCustomBytes bounds a body of custom metrics: monitor.MaxCustom take less.
const maxCustomBytes = 1 << 20

func (s *Server) recordCustom(w http.ResponseWriter, r *http.Request) {
	if pid := strconv.Itoa(os.Getpid()); r.FormValue("pid") != pid {
		s.fail(w, http.StatusConflict, fmt.Errorf("this is process %s", pid))
		return
	}
	var metrics []monitor.Custom
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCustomBytes)).Decode(&metrics)
	if err == nil {
		err = s.node.RecordCustom(metrics)
	}
	if err != nil {
		s.fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	answer(w, struct{}{})
}

// stop answers at once and then says nothing more until the node is about to end:
// who waits for the end of the response has waited for the drain.
func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}\n"))
	_ = http.NewResponseController(w).Flush()
	s.node.Stop()
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// refuse answers an error of the node.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrUnknownApp):
		s.fail(w, http.StatusNotFound, err)
	case errors.Is(err, ErrTooMany):
		s.fail(w, http.StatusServiceUnavailable, err)
	default:
		s.fail(w, http.StatusInternalServerError, err)
	}
}

// failure is the body of every answer but 200.
type failure struct {
	Error string `json:"error"`
}

func (s *Server) fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure{err.Error()})
}

// answer sends a value. An error says that the client left.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
