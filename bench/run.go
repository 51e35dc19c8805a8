package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"resound/bench/floor"
	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

// maxFloorThreads is how many a bare server can have.
const maxFloorThreads = 64

// run is one scenario under way. Owned by the goroutine that runs it.
type run struct {
	ctx      context.Context
	settings Settings
	children *process.Children
	channel  string
	capacity int // connections of one process
	closers  []func()
	samples  *sampler
	bare     *floor.Remote // nil until it is started
	result   Result

	// configure writes the configuration file of a spawned server, which may keep
	// files in folder. Nil means that the app is in its environment.
	configure func(app wire.App, folder string) ([]byte, error)
}

// subject is one of the two things measured.
type subject struct {
	name     string
	target   rest.Target
	api      rest.Target       // where events are triggered; zero: at target
	pids     []int             // none when unknown
	fleet    *population.Fleet // nil in scenarios without subscribers
	feed     *feed             // events on the run's channel
	sequence uint32            // of the last event that publish sent

	// publish sends events with consecutive numbers from first to all subscribers of
	// the run's channel: to the floor without a request.
	publish func(first uint32, events int) error
}

// triggers is where events are triggered.
func (s *subject) triggers() rest.Target {
	if s.api.Address != "" {
		return s.api
	}
	return s.target
}

// runScenario prepares a run, lets measure fill in its result, and sums it up. The
// result is valid beside an error.
func runScenario(ctx context.Context, name string, s Settings, connections int, measure func(*run) error) (Result, error) {
	s, err := s.withDefaults(connections)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("run exceeds its timeout of %v", s.Timeout))
	defer cancel()
	capacity, err := process.RaiseDescriptors()
	if err != nil {
		return Result{}, err
	}
	r := &run{
		ctx:      ctx,
		settings: s,
		children: process.NewChildren(),
		channel:  "bench-" + strings.ToLower(rand.Text()),
		capacity: capacity,
		samples:  newSampler(s.sampleInterval),
		result: Result{
			Scenario: name, Started: time.Now().UTC(), Commit: process.Commit(ctx),
			Machine: process.ReadMachine(), Settings: s,
		},
	}
	defer r.close()
	err = measure(r)
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	r.result.Series = r.samples.close()
	err = errors.Join(err, r.result.checkMemory())
	r.stopFloor()
	r.result.summarize()
	r.result.judge()
	return r.result, err
}

// close gives a spawned server its grace, then ends every process.
func (r *run) close() {
	for _, closer := range slices.Backward(r.closers) {
		closer()
	}
	r.children.Close()
}

// progress tells the user what happens now.
func (r *run) progress(format string, args ...any) {
	fmt.Fprintf(r.settings.Progress, format+"\n", args...)
	if stepper, ok := r.settings.Progress.(Stepper); ok {
		first := 0 // rounds with the number 1: one for each subject and mode
		for _, round := range r.result.Rounds {
			if round.Number == 1 {
				first++
			}
		}
		stepper.Step(len(r.result.Rounds), first*r.settings.Rounds)
	}
}

// subjects returns the server and, if asked, the floor. Both are running.
func (r *run) subjects() ([]*subject, error) {
	server, err := r.server()
	if err != nil || !r.settings.Floor {
		return []*subject{server}, err
	}
	bare, err := r.floor()
	if err != nil {
		return nil, err
	}
	return []*subject{server, bare}, nil
}

// server returns the server under test, which it spawns if asked.
func (r *run) server() (*subject, error) {
	s := &subject{name: SubjectServer, pids: r.settings.PIDs}
	if r.settings.Spawn != "" {
		spawned, err := r.spawn()
		if err != nil {
			return nil, err
		}
		s.target, s.pids = spawned.target, []int{spawned.child.PID}
	} else {
		target, err := parseTarget(r.settings.Target, r.settings.App)
		if err != nil {
			return nil, err
		}
		s.target = target
		if r.settings.API != "" {
			if s.api, err = parseTarget(r.settings.API, r.settings.App); err != nil {
				return nil, err
			}
		}
	}
	s.feed = r.newFeed(s, r.channel)
	s.publish = func(_ uint32, events int) error { return s.feed.trigger(events, process.Nanos()) }
	r.samples.addProcesses(s)
	return s, nil
}

// floor starts the bare WebSocket server.
func (r *run) floor() (*subject, error) {
	if r.settings.Connections > r.capacity {
		return nil, fmt.Errorf("floor holds at most %d connections by the descriptor limit, asked for %d", r.capacity, r.settings.Connections)
	}
	remote, err := r.startFloor(floor.Options{
		Threads: min(r.settings.Threads, maxFloorThreads), Channel: r.channel, PayloadBytes: r.settings.PayloadBytes, Packed: r.settings.Overload > 0,
	})
	if err != nil {
		return nil, err
	}
	s := &subject{
		name: SubjectFloor,
		// It looks at no signature.
		target: rest.Target{Address: remote.Address, Host: remote.Address, App: wire.App{ID: "floor", Key: "floor", Secret: "floor"}},
		pids:   []int{remote.PID},
		publish: func(first uint32, events int) error {
			return remote.Publish(floor.Publication{First: first, Events: events, Nanos: process.Nanos(), Packed: events > 1})
		},
	}
	s.feed = r.newFeed(s, r.channel)
	r.samples.addProcesses(s)
	return s, nil
}

// floorHTTP starts the bare HTTP server, which expects the signature of app.
func (r *run) floorHTTP(app wire.App) (*subject, error) {
	remote, err := floor.Start(r.children, r.self(SubcommandFloorHTTP, "--threads", strconv.Itoa(r.settings.Threads), "--secret", app.Secret))
	if err != nil {
		return nil, err
	}
	return &subject{
		name:   SubjectFloor,
		target: rest.Target{Address: remote.Address, Host: remote.Address, App: app},
		pids:   []int{remote.PID},
	}, nil
}

// self returns the command that runs a hidden subcommand of this program.
func (r *run) self(subcommand string, args ...string) process.Command {
	command := r.settings.Self
	command.Args = append(append(append([]string(nil), command.Args...), subcommand), args...)
	return command
}

// newFleet gives a subject its own client processes, not connected yet.
func (r *run) newFleet(s *subject) error {
	fleet, err := r.clients(s, "", r.settings.Connections)
	s.fleet = fleet
	return err
}

// clients starts client processes for more connections of a subject. part names them
// in the series; "" are those that the scenario is about.
func (r *run) clients(s *subject, part string, connections int) (*population.Fleet, error) {
	perProcess := r.settings.PerProcess
	if perProcess == 0 {
		perProcess = r.capacity
	}
	fleet, err := population.NewFleet(r.children, r.self(SubcommandClient), connections, perProcess)
	if err != nil {
		return nil, err
	}
	// Before the server: one without connections need not drain.
	r.closers = append(r.closers, fleet.Close)
	r.samples.addFleet(r.ctx, s.name, part, fleet)
	return fleet, nil
}

// options describe all connections of a subject, subscribed to the run's channel.
func (r *run) options(s *subject) population.Options {
	return population.Options{
		Address:     s.target.Address,
		Path:        socketPath(s.target),
		Connections: r.settings.Connections,
		InFlight:    r.settings.InFlight,
		Sources:     r.settings.Sources,
		Channel:     r.channel,
	}
}

// connect opens all connections of a subject, over channels or on the one channel
// when channels is zero.
func (r *run) connect(s *subject, channels int) error {
	o := r.options(s)
	o.Channels = channels
	return r.openFleet(s, s.fleet, o)
}

// openFleet opens the connections of a fleet.
func (r *run) openFleet(s *subject, fleet *population.Fleet, o population.Options) error {
	if err := fleet.Connect(r.ctx, o); err != nil {
		return fmt.Errorf("connect to %s: %w", s.name, err)
	}
	return nil
}
