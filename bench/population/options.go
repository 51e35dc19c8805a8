package population

import (
	"fmt"
	"net/netip"
	"strconv"

	"resound/bench/wire"
)

const (
	defaultInFlight = 256

	// connectionsPerSource keeps the ports of one source address well below half of
	// the 28,232 of the kernel's default range: it tries the ports of one parity
	// first, and looks at all of them for each connection once these are taken.
	// Measured: 11,800 connections a second before that, 1,000 after.
	connectionsPerSource = 10_000

	// maxSources is how many addresses 127.0.0.x has to offer.
	maxSources = 200
)

// Options describes the connections of one process.
type Options struct {
	Address     string `json:"address"`     // IP:PORT of the server
	Path        string `json:"path"`        // target of the upgrade, with query
	Connections int    `json:"connections"` // how many to open
	First       int    `json:"first"`       // number of the first among those of all processes
	InFlight    int    `json:"in_flight"`   // handshakes under way at most. Zero means 256.
	Retries     int    `json:"retries"`     // connections of a process refused before their subscription that are tried again, all together
	Channel     string `json:"channel"`     // channel, or prefix of the channels' names
	Channels    int    `json:"channels"`    // distinct channels. Zero means one, named Channel.
}

// validated returns the options with defaults filled in.
func (o Options) validated() (Options, netip.AddrPort, error) {
	if o.InFlight == 0 {
		o.InFlight = defaultInFlight
	}
	address, err := netip.ParseAddrPort(o.Address)
	switch {
	case err != nil:
		return o, address, fmt.Errorf("server address: %w", err)
	case !address.Addr().Is4():
		return o, address, fmt.Errorf("server address %s is not IPv4", o.Address)
	case o.Connections < 1:
		return o, address, fmt.Errorf("%d connections, want 1 or more", o.Connections)
	case o.InFlight < 1:
		return o, address, fmt.Errorf("%d handshakes under way, want 1 or more", o.InFlight)
	case o.Retries < 0:
		return o, address, fmt.Errorf("%d retries, want 0 or more", o.Retries)
	case o.Channels < 0:
		return o, address, fmt.Errorf("%d channels, want 0 or more", o.Channels)
	case (o.First+o.Connections)/connectionsPerSource >= maxSources:
		return o, address, fmt.Errorf("%d connections exceed limit %d", o.First+o.Connections, maxSources*connectionsPerSource)
	}
	return o, address, nil
}

// source returns the address connection i binds to, and false when the kernel may
// choose: the first ones, and all connections to another host.
func (o Options) source(address netip.AddrPort, i int) ([4]byte, bool) {
	block := (o.First + i) / connectionsPerSource
	if block == 0 || !address.Addr().IsLoopback() {
		return [4]byte{}, false
	}
	return [4]byte{127, 0, 0, byte(1 + block)}, true
}

// appendSubscribe appends the frame by which connection i subscribes.
func (o Options) appendSubscribe(dst []byte, i int, key uint32) []byte {
	channel := o.Channel
	if o.Channels > 0 {
		channel += "-" + strconv.Itoa((o.First+i)%o.Channels)
	}
	return wire.AppendMasked(dst, wire.OpText, wire.AppendSubscribe(nil, channel), key)
}
