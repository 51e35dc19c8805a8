package main

import (
	"github.com/spf13/cobra"

	"resound/bench"
)

func newMillion() *cobra.Command {
	cmd := newScenario("million", "A million connections on this host, held with pings and events",
		`Starts the server (--spawn) as so many processes on one port as the descriptor
limit asks for, climbs to all connections with one subscription each, and holds
them: first with pings alone, then with events to channels of all sizes. Checks
before that the host can. Lost, repeated or reordered deliveries and connections
that do not last make the run fail.`,
		bench.Million, func(cmd *cobra.Command, s *bench.Settings) {
			flags := cmd.Flags()
			flags.IntVar(&s.Connections, "connections", 0, "connections with one subscription each (default 1000000)")
			flags.DurationVar(&s.Duration, "hold", 0, "how long to hold them, half of it with events (default 3m)")
			flags.DurationVar(&s.PingInterval, "ping", 0, "silence after which the server pings (default 1m)")
			flags.IntVar(&s.PerServer, "per-server", 0, "connections of one server process, on average (default 85 % of its descriptors)")
			flags.IntVar(&s.PerProcess, "per-process", 0, "connections of one client process (default as many as its descriptors allow, 25000 at most)")
			flags.IntVar(&s.InFlight, "in-flight", 0, "handshakes under way at a time (default 256)")
			payloadFlag(cmd, s)
		})
	for _, name := range []string{"target", "app", "pid", "floor", "threads"} {
		_ = cmd.Flags().MarkHidden(name) // it starts the server itself, and there is no floor for it
	}
	cmd.Flags().Lookup("timeout").Usage = "end the run after this (default 30m)"
	return cmd
}
