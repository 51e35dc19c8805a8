package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"resound/cmd/internal/config"
	"resound/cmd/internal/doctor"
	"resound/cmd/internal/node"
)

// errFaults ends doctor when the host cannot hold the connections; the report has
// said why.
var errFaults = errors.New("this host cannot hold the connections, see the faults above")

func doctorCommand() *cobra.Command {
	var flags config.Flags
	var port, connections int
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check this host for the configured number of connections",
		Long: `Check this host for the configured number of connections.

Looks at descriptors, memory, the network's settings and the port, and prints the
fix for each line that is not ok. The number of connections is --connections, else
max_connections of the configuration, else what the descriptor limit allows.
Exits with 1 when a fault is found; warnings are no faults.`,
		Example: `  resound doctor
  resound doctor --connections 1000000
  resound doctor --config reverb.json --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("doctor takes no argument, got %q", args[0])}
			}
			if connections < 0 {
				return usageError{fmt.Errorf("%d connections, want 1 or more", connections)}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("port") {
				flags.Port = &port
			}
			report, err := examine(c, flags, connections)
			if err != nil {
				return err
			}
			write := report.WriteText
			if asJSON {
				write = report.WriteJSON
			}
			if err := write(c.OutOrStdout()); err != nil {
				return err
			}
			if report.Count(doctor.Fault) > 0 {
				return errFaults
			}
			return nil
		},
	}
	f := c.Flags()
	f.IntVar(&connections, "connections", 0, "connections the host shall hold (default: what is configured)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.IntVar(&port, "port", 8080, "port the node shall listen on")
	f.StringVar(&flags.ConfigFile, "config", "", "YAML or JSON in the shape of Laravel's config('reverb')")
	f.StringVar(&flags.EnvFile, "env-file", "", "environment file (default .env)")
	return c
}

// examine looks at this host for the configured node. connections 0 means what is
// configured.
func examine(c *cobra.Command, flags config.Flags, connections int) (doctor.Report, error) {
	cfg, warnings, err := config.Load(flags, os.Environ(), "")
	for _, w := range warnings {
		fmt.Fprintf(c.ErrOrStderr(), "  WARN  %s\n", w)
	}
	if err != nil {
		return doctor.Report{}, err
	}
	host, err := doctor.ThisHost()
	if err != nil {
		return doctor.Report{}, err
	}
	server := &cfg.Server
	unixSocket := server.UnixSocket
	if unixSocket != "" {
		if unixSocket, err = filepath.Abs(unixSocket); err != nil {
			return doctor.Report{}, err
		}
	}
	reactors := node.Reactors(server.Workers)
	if connections == 0 {
		connections = server.MaxConnections
	}
	if connections == 0 {
		connections = max(node.ConnectionsFor(host.Hard, reactors), 1)
	}
	return doctor.Examine(host, doctor.Wanted{
		Connections: connections,
		Descriptors: node.DescriptorsFor(connections, reactors),
		Address:     server.Host,
		Port:        server.Port,
		Reactors:    reactors,
		TLS:         node.SpeaksTLS(server),
		UnixSocket:  unixSocket,
	}), nil
}
