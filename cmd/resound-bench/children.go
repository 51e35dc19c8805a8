package main

import (
	"os"

	"github.com/spf13/cobra"

	"resound/bench"
	"resound/bench/floor"
	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/receiver"
)

// The hidden commands below are what the coordinator starts; they speak JSON lines
// on standard input and output and end with their input.

func newClient() *cobra.Command {
	return &cobra.Command{
		Use: bench.SubcommandClient, Short: "Hold connections for the coordinator", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := process.RaiseDescriptors(); err != nil {
				return err
			}
			return population.Serve(os.Stdin, os.Stdout)
		},
	}
}

func newFloor() *cobra.Command {
	var o floor.Options
	cmd := &cobra.Command{
		Use: bench.SubcommandFloor, Short: "Run the bare WebSocket server", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := process.RaiseDescriptors(); err != nil {
				return err
			}
			return floor.Serve(os.Stdin, os.Stdout, o)
		},
	}
	cmd.Flags().IntVar(&o.Threads, "threads", 1, "threads, each with its own listening socket")
	cmd.Flags().StringVar(&o.Channel, "channel", "bench", "channel of the publications")
	cmd.Flags().IntVar(&o.PayloadBytes, "payload", 0, "bytes of each event's data (default 100)")
	cmd.Flags().BoolVar(&o.Packed, "packed", false, "write what waits for a channel with one write")
	return cmd
}

func newReceiver() *cobra.Command {
	return &cobra.Command{
		Use: bench.SubcommandReceiver, Short: "Receive webhooks", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return receiver.Serve(os.Stdin, os.Stdout) },
	}
}

func newFloorHTTP() *cobra.Command {
	var secret string
	var threads int
	cmd := &cobra.Command{
		Use: bench.SubcommandFloorHTTP, Short: "Run the bare HTTP server", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return floor.ServeHTTP(os.Stdin, os.Stdout, secret, threads) },
	}
	cmd.Flags().StringVar(&secret, "secret", "", "secret the requests are signed with")
	cmd.Flags().IntVar(&threads, "threads", 0, "GOMAXPROCS (default one per core)")
	return cmd
}
