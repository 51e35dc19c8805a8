package main

import (
	"github.com/spf13/cobra"

	"resound/bench"
)

func newFanout() *cobra.Command {
	return newScenario("fanout", "Deliveries on one channel with many subscribers",
		`All connections subscribe to one channel. Each event is triggered over HTTP when
every subscriber has the one before; with --burst, batches of events as well.
With --overload several publishers trigger at a time, each its next event when
everybody has its last: events come faster than they can be sent one by one.
Lost, repeated or reordered deliveries make the run fail.`,
		bench.Fanout, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "10000")
			payloadFlag(cmd, s)
			cmd.Flags().IntVar(&s.Burst, "burst", 0, "measure batches of this many events too, 2 to 10")
			cmd.Flags().IntVar(&s.Overload, "overload", 0, "instead, this many publishers at a time, 1 to 32, so that events wait to be sent")
			cmd.Flags().IntVar(&s.Events, "events", 0, "events per round (default as many as --seconds allow)")
			roundFlags(cmd, s)
		})
}

func newIdle() *cobra.Command {
	return newScenario("idle", "Memory of connections at rest",
		`Opens connections with one subscription each, waits until the server's memory no
longer changes, and divides what it grew by. Needs --pid or --spawn. With
--channels equal to --connections each has a channel of its own.`,
		bench.Idle, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "15000")
			channelsFlag(cmd, s, "one per 100 connections")
		})
}

func newTrigger() *cobra.Command {
	return newScenario("trigger", "Signed HTTP triggers on keep-alive connections",
		`Keeps one signed POST /events request under way on each connection, for channels
without a subscriber. The floor is a plain fasthttp server that verifies the
same signature.`,
		bench.Trigger, func(cmd *cobra.Command, s *bench.Settings) {
			cmd.Flags().IntVar(&s.Connections, "connections", 0, "keep-alive connections (default 64)")
			payloadFlag(cmd, s)
			roundFlags(cmd, s)
		})
}

func newConnect() *cobra.Command {
	return newScenario("connect", "Rate and cost of connecting and subscribing",
		`Opens and subscribes all connections, --in-flight at a time, and closes them
between rounds.`,
		bench.Connect, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "5000")
			channelsFlag(cmd, s, "one for all")
			cmd.Flags().IntVar(&s.Rounds, "rounds", 0, "rounds of the server and of the floor (default 5)")
		})
}

func newSpread() *cobra.Command {
	return newScenario("spread", "Events on many channels with one subscriber each",
		`Keeps 64 signed triggers under way, to all channels in turn. With more channels
than connections, each connection subscribes to several. Lost, repeated,
reordered or misdelivered events make the run fail.`,
		bench.Spread, func(cmd *cobra.Command, s *bench.Settings) {
			channelsFlag(cmd, s, "10000")
			connectionFlags(cmd, s, "one per channel, at most 10000")
			payloadFlag(cmd, s)
			roundFlags(cmd, s)
		})
}

func newLatency() *cobra.Command {
	return newScenario("latency", "How late deliveries are at a steady rate",
		`Triggers events for one channel at the pace that gives --rate deliveries a second,
whatever the server does, and counts latency from the moment each event was
meant to be sent. With --load 0.5 the rate is half of what the server delivers one
event after the other, measured first.`,
		bench.Paced, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "1000")
			cmd.Flags().Float64Var(&s.Rate, "rate", 0, "deliveries per second (default 20000)")
			cmd.Flags().Float64Var(&s.Load, "load", 0, "share of the fan-out rate instead, above 0 to 1")
			payloadFlag(cmd, s)
			roundFlags(cmd, s)
		})
}

func newPresence() *cobra.Command {
	return newScenario("presence", "Members who come and go on a large presence channel",
		`All connections are members of one presence channel. One user after the other
joins and leaves, every fourth with two connections; the next comes when every
member was told. Members must be told exactly once of each, and the roster be
right at the end. There is no floor for it.`,
		bench.Presence, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "10000")
			roundFlags(cmd, s)
		})
}

func newStorm() *cobra.Command {
	return newScenario("storm", "Everybody drops at once and returns at once",
		`Drops all connections and lets them come back together, a refused one trying
again after a second, while --watchers others get a steady stream. Reports the time
until all are back, how many were refused and how many more than once, and the
others' latency before and during the storm. A lost event makes the run fail.`,
		bench.Storm, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "15000")
			cmd.Flags().IntVar(&s.Watchers, "watchers", 0, "subscribers that stay (default 500)")
			cmd.Flags().Float64Var(&s.Rate, "rate", 0, "their deliveries per second (default 5000)")
			cmd.Flags().Var((*secondsValue)(&s.Duration), "seconds", "how long the stream is measured before the storm (default 3)")
			cmd.Flags().IntVar(&s.Rounds, "rounds", 0, "storms (default 3)")
		})
}

func newSoak() *cobra.Command {
	return newScenario("soak", "A mix of all for a long time",
		`Streams events to all connections while others subscribe to many channels, come
and go on a presence channel, and drop and return. Fails when the server's memory,
descriptors or goroutines grow, or when a delivery is lost, repeated or out of order.`,
		bench.Soak, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "1000")
			cmd.Flags().DurationVar(&s.Duration, "duration", 0, "how long (default 1h)")
			cmd.Flags().Float64Var(&s.Rate, "rate", 0, "deliveries of the stream per second (default 5000)")
			payloadFlag(cmd, s)
		})
}

func newWebhook() *cobra.Command {
	return newScenario("webhook", "What webhooks cost the fan-out of a spawned server",
		`Starts a receiver and a server with one webhook. While a connection sends --rate
client events a second, in turn on a channel of the webhook and on another, events
go to all other connections as in fanout. The ratio of the two is the webhook's.`,
		bench.Webhook, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "10000")
			cmd.Flags().Float64Var(&s.Rate, "rate", 0, "client events per second, up to 20000 (default 5500)")
			payloadFlag(cmd, s)
			roundFlags(cmd, s)
		})
}

func newWatched() *cobra.Command {
	return newScenario("watched", "What an open dashboard and scraped metrics cost the fan-out of a spawned server",
		`Events go to all connections as in fanout. In every other round a page of the
dashboard is open, with its figures and its tail of events, and /metrics is scraped
every second. The ratio of the two is what looking costs.`,
		bench.Watched, func(cmd *cobra.Command, s *bench.Settings) {
			connectionFlags(cmd, s, "10000")
			payloadFlag(cmd, s)
			cmd.Flags().Var((*secondsValue)(&s.Duration), "seconds", "length of a round (default 3)")
			cmd.Flags().IntVar(&s.Rounds, "rounds", 0, "rounds of each kind (default 7)")
		})
}

func connectionFlags(cmd *cobra.Command, s *bench.Settings, connections string) {
	cmd.Flags().IntVar(&s.Connections, "connections", 0, "connections with one subscription each (default "+connections+")")
	cmd.Flags().IntVar(&s.PerProcess, "per-process", 0, "connections of one client process (default as many as its descriptors allow)")
	cmd.Flags().StringSliceVar(&s.Sources, "source", nil, "addresses to connect from, each for 10000 connections (comma list; default 127.0.0.x for a server there)")
	cmd.Flags().IntVar(&s.InFlight, "in-flight", 0, "handshakes under way at a time (default 256)")
}

func channelsFlag(cmd *cobra.Command, s *bench.Settings, standard string) {
	cmd.Flags().IntVar(&s.Channels, "channels", 0, "distinct channels (default "+standard+")")
}

func payloadFlag(cmd *cobra.Command, s *bench.Settings) {
	cmd.Flags().IntVar(&s.PayloadBytes, "payload", 0, "bytes of each event's data, 30 to 65536 (default 100)")
}

func roundFlags(cmd *cobra.Command, s *bench.Settings) {
	cmd.Flags().Var((*secondsValue)(&s.Duration), "seconds", "length of a round (default 3)")
	cmd.Flags().IntVar(&s.Rounds, "rounds", 0, "rounds of the server and of the floor (default 5)")
}
