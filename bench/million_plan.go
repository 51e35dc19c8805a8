package bench

import (
	"fmt"
	"runtime"
)

// channelClass is a share of the connections, whose channels all have about the
// same number of subscribers.
type channelClass struct {
	first       int // number of its first connection
	connections int
	channels    int
}

// size is how many subscribers its channels have; some have one more.
func (c channelClass) size() int { return c.connections / c.channels }

// members returns how many connections subscribe to the channel with this number:
// connection i subscribes to number i modulo channels.
func (c channelClass) members(channel int) int {
	n := c.size()
	if (channel-c.first%c.channels+c.channels)%c.channels < c.connections%c.channels {
		n++
	}
	return n
}

// mode names its rounds.
func (c channelClass) mode() string { return fmt.Sprintf("events to channels of %d", c.size()) }

// channelShares are the classes of channels: a tenth of the connections have a
// channel of their own, two share one with nine others, six with 999 others, and
// the last tenth shares one channel.
var channelShares = []struct{ tenths, size int }{{1, 1}, {2, 10}, {6, 1000}, {1, 0}}

// planChannels divides connections into classes.
func planChannels(connections int) []channelClass {
	classes := make([]channelClass, 0, len(channelShares))
	first, tenths := 0, 0
	for _, share := range channelShares {
		tenths += share.tenths
		c := channelClass{first: first, connections: connections*tenths/10 - first, channels: 1}
		if share.size > 0 {
			c.channels = max(c.connections/share.size, 1)
		}
		first += c.connections
		classes = append(classes, c)
	}
	return classes
}

// millionPlan is over how many processes the connections spread.
type millionPlan struct {
	connections int
	capacity    int // connections that the descriptors of one process allow
	servers     int // processes on one port
	workers     int // reactors of each, each with a listener
	perClient   int // connections of one client process at most
	clients     int // processes
	classes     []channelClass
}

const (
	// minMillion is the least number of connections that fills all classes.
	minMillion = 200

	// serverShare is, in percent of the descriptors of a server process, how many
	// connections it gets on average. The kernel spreads them by a hash: at 17,000
	// the fullest of sixty processes gets some 400 more. Besides them a process
	// needs descriptors for itself and for HTTP.
	serverShare = 85

	// clientShare is how many connections a client process gets at most: it has one
	// thread.
	clientShare = 25_000
)

// planMillion spreads connections over processes that may each have capacity
// connections by their descriptor limit.
func planMillion(s Settings, capacity int) millionPlan {
	p := millionPlan{connections: s.Connections, capacity: capacity, perClient: s.PerProcess, classes: planChannels(s.Connections)}
	perServer := s.PerServer
	if perServer == 0 {
		perServer = max(capacity*serverShare/100, 1)
	}
	p.servers = (s.Connections + perServer - 1) / perServer
	// Reactors of one process balance better than reactors of several, but more
	// reactors than cores only cost.
	p.workers = max(runtime.NumCPU()/p.servers, 1)
	if p.perClient == 0 {
		p.perClient = min(capacity, clientShare)
	}
	for _, c := range p.classes {
		p.clients += (c.connections + p.perClient - 1) / p.perClient
	}
	return p
}
