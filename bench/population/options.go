package population

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

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
	Total       int    `json:"total"`       // connections of all processes. Zero means First and Connections.
	InFlight    int    `json:"in_flight"`   // handshakes under way at most. Zero means 256.

	// Sources are the addresses to connect from, each for 10,000 connections. None:
	// for a server on 127.0.0.1 those of the same network, otherwise as the kernel
	// chooses.
	Sources []string `json:"sources,omitempty"`

	// Retry is how long a connection that was refused, or lost, waits before it tries
	// again. Zero: it does not, and the first refusal ends Connect.
	Retry time.Duration `json:"retry,omitempty"`

	// Channel is the channel, or the prefix of the channels' names. With none,
	// connections are open without a subscription until Join.
	Channel string `json:"channel"`

	// Channels is how many distinct ones there are. Zero means one, named Channel.
	// Connection i subscribes to channel i, modulo Channels. Are there more channels
	// than connections, it subscribes to every Total-th from there.
	Channels int `json:"channels"`

	// Lanes is how many sequences of events there are. Zero means one. Event e, from
	// 1 on, is the next of lane e-1 modulo Lanes; each lane is complete and in order
	// at every connection.
	Lanes int `json:"lanes"`

	// LanePerChannel makes a lane of each channel, which only its subscribers get.
	LanePerChannel bool `json:"lane_per_channel"`

	// App signs subscriptions to a presence channel: connection i is there as user
	// First+i+1. Users above Total come and go: that they do is counted in two lanes,
	// one of arrivals and one of departures.
	App *wire.App `json:"app,omitempty"`
}

// validated returns the options with defaults filled in.
func (o Options) validated() (Options, netip.AddrPort, error) {
	setDefault(&o.InFlight, defaultInFlight)
	setDefault(&o.Total, o.First+o.Connections)
	switch {
	case o.LanePerChannel:
		o.Lanes = o.Channels
	case o.App != nil:
		o.Lanes = presenceLanes
	}
	setDefault(&o.Lanes, 1)
	address, err := netip.ParseAddrPort(o.Address)
	switch {
	case err != nil:
		return o, address, fmt.Errorf("server address: %w", err)
	case !address.Addr().Is4():
		return o, address, fmt.Errorf("server address %s is not IPv4", o.Address)
	case o.Connections < 1:
		return o, address, fmt.Errorf("%d connections, want 1 or more", o.Connections)
	case o.First < 0 || o.First+o.Connections > o.Total:
		return o, address, fmt.Errorf("connections %d to %d of %d", o.First, o.First+o.Connections, o.Total)
	case o.InFlight < 1:
		return o, address, fmt.Errorf("%d handshakes under way, want 1 or more", o.InFlight)
	case o.Channels < 0:
		return o, address, fmt.Errorf("%d channels, want 0 or more", o.Channels)
	case o.Lanes < 1:
		return o, address, fmt.Errorf("%d lanes, want 1 or more", o.Lanes)
	case o.LanePerChannel && o.Channels == 0:
		return o, address, fmt.Errorf("a lane for each channel, and no number of channels")
	case o.Retry < 0:
		return o, address, fmt.Errorf("retry after %v, want 0 or more", o.Retry)
	case (o.Total-1)/connectionsPerSource >= o.sources(address):
		return o, address, fmt.Errorf("%d connections from %d source addresses, want %d for each at most", o.Total, o.sources(address), connectionsPerSource)
	}
	for _, source := range o.Sources {
		if a, err := netip.ParseAddr(source); err != nil || !a.Is4() {
			return o, address, fmt.Errorf("source address %q is not IPv4", source)
		}
	}
	return o, address, nil
}

func setDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

// sources is how many addresses there are to connect from.
func (o Options) sources(server netip.AddrPort) int {
	switch {
	case len(o.Sources) > 0:
		return len(o.Sources)
	case server.Addr().IsLoopback():
		return maxSources
	default:
		return 65_535/connectionsPerSource + 1 // beyond the kernel's range of ports connect fails
	}
}

// source returns the address connection i binds to, and false when the kernel may
// choose: without Sources the first 10,000, and all connections to another host.
func (o Options) source(server netip.AddrPort, i int) ([4]byte, bool) {
	block := (o.First + i) / connectionsPerSource
	switch {
	case len(o.Sources) > 0:
		return netip.MustParseAddr(o.Sources[block]).As4(), true // validated
	case block == 0 || !server.Addr().IsLoopback():
		return [4]byte{}, false
	default:
		return [4]byte{127, 0, 0, byte(1 + block)}, true
	}
}

// subscriptions is how many connection i holds.
func (o Options) subscriptions(i int) int {
	switch {
	case o.Channel == "":
		return 0
	case o.Channels <= o.Total:
		return 1
	default:
		return (o.Channels - (o.First + i) + o.Total - 1) / o.Total
	}
}

// channel returns the name of subscription number held of connection i.
func (o Options) channel(i, held int) string {
	if o.Channels == 0 {
		return o.Channel
	}
	return o.Channel + "-" + strconv.Itoa(((o.First+i)+held*o.Total)%o.Channels)
}
