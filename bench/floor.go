package bench

import (
	"strconv"

	"resound/bench/floor"
)

// startFloor starts the bare WebSocket server.
func (r *run) startFloor(o floor.Options) (*floor.Remote, error) {
	args := []string{"--threads", strconv.Itoa(o.Threads), "--channel", o.Channel, "--payload", strconv.Itoa(o.PayloadBytes)}
	if o.Packed {
		args = append(args, "--packed")
	}
	return floor.Start(r.children, r.self(SubcommandFloor, args...))
}
