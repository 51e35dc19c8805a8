package bench

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"resound/bench/floor"
	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

// Kinds of the bare WebSocket server.
const (
	FloorC  = "c"  // compiled on this host
	FloorGo = "go" // for hosts without a C compiler
)

// floor starts the bare WebSocket server. It takes events by HTTP, like the server,
// and packs: events that wait for a channel leave in one write.
func (r *run) floor() (*subject, error) {
	if r.settings.Connections > r.capacity {
		return nil, fmt.Errorf("floor holds at most %d connections by the descriptor limit, asked for %d", r.capacity, r.settings.Connections)
	}
	command, err := r.floorCommand(floor.Options{
		Threads: r.settings.Threads, Packed: true, Channel: r.channel, PayloadBytes: r.settings.PayloadBytes,
	})
	if err != nil {
		return nil, err
	}
	if r.bare, err = floor.Start(r.children, command); err != nil {
		return nil, err
	}
	s := &subject{
		name: SubjectFloor,
		// It checks no signature, but a request without one is shorter.
		target: rest.Target{Address: r.bare.Address, Host: r.bare.Address, App: wire.App{ID: "floor", Key: "floor", Secret: "floor"}},
		pids:   []int{r.bare.PID},
	}
	r.publishByHTTP(s)
	return s, nil
}

// floorCommand returns what runs the bare server: in C, or in Go when that was asked
// for or the host cannot compile.
func (r *run) floorCommand(o floor.Options) (process.Command, error) {
	r.result.Floor = FloorGo
	if r.settings.FloorKind != FloorGo {
		program, err := r.compileFloor()
		switch {
		case err == nil:
			r.result.Floor = FloorC
			return floor.BareCommand(program, o), nil
		case r.settings.FloorKind == FloorC:
			return process.Command{}, fmt.Errorf("floor in C: %w", err)
		case errors.Is(err, floor.ErrNoCompiler):
			r.result.verdict("floor is the one in Go, for want of a C compiler: it costs more than the one in C, so the ratios flatter the server")
		default:
			r.result.verdict("floor is the one in Go, so the ratios flatter the server; the one in C does not build: %v", err)
		}
	}
	return r.self(SubcommandFloor, o.Args()...), nil
}

func (r *run) compileFloor() (string, error) {
	folder, err := os.MkdirTemp("", "resound-bench-floor-")
	if err != nil {
		return "", err
	}
	r.closers = append(r.closers, func() { _ = os.RemoveAll(folder) })
	return floor.Compile(r.ctx, folder)
}

// stopFloor ends the bare server and says what it could not do.
func (r *run) stopFloor() {
	if r.bare == nil {
		return
	}
	counts, err := r.bare.Stop()
	if err != nil {
		r.result.verdict("floor: %v", err)
	}
	if counts.Dropped+counts.Refused > 0 {
		r.result.verdict("floor: dropped %d connections that did not read, refused %d publications: no floor to compare with", counts.Dropped, counts.Refused)
	}
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
