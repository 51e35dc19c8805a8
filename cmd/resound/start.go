package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/cmd/internal/memory"
	"resound/cmd/internal/node"
)

// errInterrupted ends the process at once, after a second signal.
var errInterrupted = errors.New("interrupted")

func startCommand() *cobra.Command {
	var flags config.Flags
	var host, path, hostname string
	var port, workers int
	c := &cobra.Command{
		Use:   "start",
		Short: "Run the server",
		Long: `Run the server.

In the folder of a Laravel project it reads the project's .env, so that it takes
the place of "php artisan reverb:start". Flags beat the environment, the
environment beats .env, .env beats the configuration file.`,
		Example: `  resound start
  resound start --host 127.0.0.1 --port 8080 --debug
  php artisan tinker --execute="echo json_encode(config('reverb'));" > reverb.json
  resound start --config reverb.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("start takes no argument, got %q", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			for name, set := range map[string]func(){
				"host":     func() { flags.Host = &host },
				"path":     func() { flags.Path = &path },
				"hostname": func() { flags.Hostname = &hostname },
				"port":     func() { flags.Port = &port },
				"workers":  func() { flags.Workers = &workers },
			} {
				if c.Flags().Changed(name) {
					set()
				}
			}
			return start(c, flags)
		},
	}
	f := c.Flags()
	f.StringVar(&host, "host", "0.0.0.0", "address to listen on")
	f.IntVar(&port, "port", 8080, "port to listen on; 0 lets the kernel choose")
	f.StringVar(&path, "path", "", "prefix of every URL, for example /ws")
	f.StringVar(&hostname, "hostname", "", "public host name")
	f.IntVar(&workers, "workers", 0, "event loops; 0 is one per CPU")
	f.BoolVar(&flags.Debug, "debug", false, "print each connection, message and close")
	f.BoolVar(&flags.Daemon, "daemon", false, "run in the background, with a pid file and a log file")
	f.StringVar(&flags.ConfigFile, "config", "", "YAML or JSON in the shape of Laravel's config('reverb')")
	f.StringVar(&flags.EnvFile, "env-file", "", "environment file (default .env)")
	return c
}

// start runs the server in this process until a signal ends it.
func start(c *cobra.Command, flags config.Flags) error {
	// Signals are caught before anything that takes time.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	// Whoever reads the output may go away: the node stays.
	signal.Ignore(syscall.SIGPIPE)

	cfg, warnings, err := config.Load(flags, os.Environ(), "")
	for _, w := range warnings {
		fmt.Fprintf(c.ErrOrStderr(), "  WARN  %s\n", w)
	}
	if err != nil {
		return err
	}
	inheritDevelopmentApp(cfg)
	before, err := findPredecessor()
	if err != nil {
		return err
	}
	if cfg.Daemon && before == nil && os.Getenv(daemonEnv) == "" {
		return daemonize(c.OutOrStdout(), cfg)
	}
	log := logger(c.ErrOrStderr(), cfg.Debug)
	o := node.Options{
		Config:   cfg,
		Logger:   log,
		Version:  versionText(),
		Reactors: node.Reactors(cfg.Server.Workers),
		Load:     func() (*config.Config, []config.Warning, error) { return config.Load(flags, os.Environ(), "") },
		Control: func(port int) (*control.Listener, error) {
			return listenControl(cfg.Server.Control, port, before != nil, log)
		},
		Successor: func(ctx context.Context, port, listeners int) (node.Successor, error) {
			var development *config.App
			if cfg.Development {
				development = &cfg.Apps[0]
			}
			return startSuccessor(ctx, port, listeners, development)
		},
		HistoryPath: historyPath(&cfg.Server, log),
	}
	if before != nil {
		o.Predecessor, o.PredecessorLink, o.PredecessorListeners = before.gone, before.link, before.listeners
		if cfg.Server.Port == 0 {
			cfg.Server.Port = before.port
		}
	}
	if cfg.Debug {
		o.Trace = tracer(c.OutOrStdout())
	}
	makeRoom(o.Reactors)
	limitMemory(log)
	n, err := node.New(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()

	select {
	case err := <-ended:
		return err
	case <-n.Ready():
	}
	announce(c.OutOrStdout(), cfg, n)
	if cfg.Daemon {
		removePID, err := daemonReady()
		if err != nil {
			return err
		}
		defer removePID()
	}
	if before != nil {
		listeners, err := n.Listeners(ctx)
		if err != nil {
			return err
		}
		if err := before.tell(listeners); err != nil {
			return err
		}
	}
	// systemd: the main process may have changed; without systemd it does nothing.
	_, _ = daemon.SdNotify(false, fmt.Sprintf("%s\nMAINPID=%d", daemon.SdNotifyReady, os.Getpid()))
	if w := findWatchdog(n.Overdue, log); w != nil {
		go w.run(ctx)
	}
	return wait(c.OutOrStdout(), signals, ended, cancel, n)
}

// listenControl makes the control socket. One that was asked for has to be; a
// server without the usual one still serves.
func listenControl(path string, port int, succeed bool, log *slog.Logger) (*control.Listener, error) {
	if path != "" {
		return control.Listen(path, succeed)
	}
	l, err := control.ListenDefault(port, os.Getenv, succeed)
	if err != nil {
		log.Warn("there is no control socket: resound status, stop and the like will not find this server", "error", err)
		return nil, nil
	}
	return l, nil
}

// makeRoom lets as many goroutines run beside the reactors as there are CPUs. A
// reactor that waits for events keeps its place in Go's scheduler until the
// scheduler's monitor looks, every 10 ms at worst: with one place per CPU a
// request of the HTTP API would wait as long. GOMAXPROCS in the environment wins.
func makeRoom(reactors int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + reactors)
	}
}

// limitMemory sets the limits of Go's runtime. GOMEMLIMIT and GOGC in the
// environment win.
func limitMemory(log *slog.Logger) {
	s := memory.Choose(os.DirFS("/"), os.Getenv)
	s.Apply()
	log.Debug("memory", "soft limit bytes", s.LimitBytes, "of bytes", s.Of, "source", s.Source, "GOGC", s.GCPercent)
}

// wait drains on the first signal and gives up on the second.
func wait(out io.Writer, signals <-chan os.Signal, ended <-chan error, drain func(), n *node.Node) error {
	ctx := context.Background()
	draining := false
	for {
		select {
		case err := <-ended:
			return err
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				_, _ = daemon.SdNotify(false, fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic().Microseconds()))
				_, _ = n.Reload(ctx) // it logs what happened
				_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
			case s == syscall.SIGUSR2:
				go func() { _, _ = n.Restart(ctx) }() // it too; signals must be heard meanwhile
			case draining:
				return errInterrupted
			default:
				draining = true
				_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
				fmt.Fprintln(out, "\n  INFO  Gracefully terminating connections.")
				drain()
			}
		}
	}
}

// monotonic is the kernel's clock by which systemd orders what it is told.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}

// announce tells where the server listens, in Reverb's words.
func announce(out io.Writer, cfg *config.Config, n *node.Node) {
	addr, scheme := n.Addr(), "http"
	host := cfg.Server.Hostname
	suffix := ""
	if host != "" && host != cfg.Server.Host {
		suffix = " (" + host + ")"
	}
	if n.TLS() {
		scheme = "https"
		suffix += " with TLS"
	}
	if plain := n.PlainAddr(); plain != nil {
		suffix += fmt.Sprintf(", without TLS on port %d", plain.Port)
	}
	if path := n.UnixSocket(); path != "" {
		suffix += ", and on " + path
	}
	fmt.Fprintf(out, "\n  INFO  Starting server on %s%s%s.\n", net.JoinHostPort(cfg.Server.Host, strconv.Itoa(addr.Port)), cfg.Server.Path, suffix)
	if url := n.DashboardURL(); url != "" {
		fmt.Fprintf(out, "  INFO  Dashboard: %s\n", url)
	}
	if !cfg.Development {
		return
	}
	app := &cfg.Apps[0]
	if host == "" {
		host = "localhost"
	}
	fmt.Fprintf(out, `
  WARN  No credentials are configured. This app exists for this run only and is
        not for production:

  REVERB_APP_ID=%s
  REVERB_APP_KEY=%s
  REVERB_APP_SECRET=%s
  REVERB_HOST=%s
  REVERB_PORT=%d
  REVERB_SCHEME=%s

  new Echo({ broadcaster: 'reverb', key: '%s', wsHost: '%s', wsPort: %d, wssPort: %d, wsPath: '%s',
             forceTLS: %t, enabledTransports: ['ws', 'wss'] });

`, app.ID, app.Key, app.Secret, host, addr.Port, scheme, app.Key, host, addr.Port, addr.Port, cfg.Server.Path, n.TLS())
}

// logger writes text on a terminal and JSON elsewhere. Messages that repeat are
// held back, except with debug.
func logger(w io.Writer, debug bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		o.Level = slog.LevelDebug
	}
	var h slog.Handler = slog.NewJSONHandler(w, o)
	if isTerminal(w) {
		h = slog.NewTextHandler(w, o)
	}
	if debug {
		return slog.New(h)
	}
	return slog.New(newPacedLog(h, time.Now))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	s, err := f.Stat()
	return err == nil && s.Mode()&os.ModeCharDevice != 0
}

// maxTraceRunes is how much of a payload --debug prints, in characters.
//
// Reverb: CliLogger cuts at 200 characters.
const maxTraceRunes = 200

// signature is what lets whoever reads it in: the hex of a SHA-256. None belongs
// into a log.
var signature = regexp.MustCompile(`[0-9A-Fa-f]{64}`)

// printable escapes what would let a client forge lines or steer the terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// tracer prints what happens, a line each, and of signatures only that there is one.
func tracer(w io.Writer) func(what, who, payload string) {
	return func(what, who, payload string) {
		// One that the cut goes through would not be found behind it.
		payload = signature.ReplaceAllString(payload[:min(len(payload), utf8.UTFMax*maxTraceRunes+64)], "***")
		if runes := []rune(payload[:min(len(payload), utf8.UTFMax*maxTraceRunes)]); len(runes) > maxTraceRunes {
			payload = string(runes[:maxTraceRunes]) + "…"
		}
		fmt.Fprintf(w, "  %s  %-24s %s %s\n", time.Now().Format("15:04:05.000"), what, printable(who), printable(payload))
	}
}
