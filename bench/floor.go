package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"resound/bench/floor"
	"resound/bench/process"
	"resound/bench/rest"
)

// Kinds of the bare WebSocket server.
const (
	FloorC  = "c"  // compiled on this host
	FloorGo = "go" // for hosts without a C compiler
)

// startFloor starts the bare WebSocket server, which stopFloor ends.
func (r *run) startFloor(o floor.Options) (*floor.Remote, error) {
	if target, err := parseTarget(r.settings.Target, r.settings.App); err == nil && !onLoopback(target) {
		r.result.verdict("the floor ran over loopback, the server at %s: their ratios compare two networks", target.Address)
	}
	command, err := r.floorCommand(o)
	if err != nil {
		return nil, err
	}
	r.bare, err = floor.Start(r.children, command)
	return r.bare, err
}

func onLoopback(t rest.Target) bool {
	address, err := netip.ParseAddrPort(t.Address)
	return err == nil && address.Addr().IsLoopback()
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
