package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
)

// target says which running server a command is for.
type target struct {
	flags  config.Flags
	port   int
	socket string
}

// bind adds the flags that choose a server to a command.
func (t *target) bind(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&t.port, "port", 0, "port of the server (default: as start would choose it)")
	f.StringVar(&t.socket, "socket", "", "control socket of the server (default: RESOUND_CONTROL, or that of the port)")
	f.StringVar(&t.flags.ConfigFile, "config", "", "configuration file of the server")
	f.StringVar(&t.flags.EnvFile, "env-file", "", "environment file of the server (default .env)")
}

// connect returns a client of the server. The caller must close it.
func (t *target) connect(c *cobra.Command) (*control.Client, error) {
	if f := c.Flags().Lookup("port"); f != nil && f.Changed {
		t.flags.Port = &t.port
	}
	path := t.socket
	if path == "" {
		var err error
		if path, err = t.find(); err != nil {
			return nil, err
		}
	}
	return control.NewClient(path), nil
}

// find returns the control socket of the server that start would start here.
func (t *target) find() (string, error) {
	port, path := config.Locate(t.flags, os.Environ(), "")
	if path != "" && t.flags.Port == nil {
		return path, nil
	}
	var here, elsewhere []control.Found
	for _, f := range control.Find(os.Getenv) {
		if port == 0 || f.Port == port {
			here = append(here, f)
		} else {
			elsewhere = append(elsewhere, f)
		}
	}
	switch {
	case len(here) == 1:
		return here[0].Path, nil
	case len(here) > 1:
		paths := make([]string, len(here))
		for i, f := range here {
			paths[i] = "--socket " + f.Path
		}
		return "", usageError{fmt.Errorf("several servers are running; choose one of them:\n  %s", strings.Join(paths, "\n  "))}
	case len(elsewhere) > 0:
		ports := make([]string, len(elsewhere))
		for i, f := range elsewhere {
			ports[i] = fmt.Sprintf("--port %d", f.Port)
		}
		slices.Sort(ports)
		return "", fmt.Errorf("%w on port %d; there is one with %s", control.ErrNoServer, port, strings.Join(slices.Compact(ports), " and one with "))
	case port == 0:
		return "", control.ErrNoServer
	}
	return "", fmt.Errorf("%w on port %d", control.ErrNoServer, port)
}

// appFlag adds --app to a command, completed with the apps of the server.
func (t *target) appFlag(c *cobra.Command, app *string) {
	c.Flags().StringVar(app, "app", "", "id of the app (default: all)")
	// The error says that there is no such flag.
	_ = c.RegisterFlagCompletionFunc("app", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		client, err := t.connect(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer client.Close()
		s, _ := client.Status(c.Context()) // without an answer there is nothing to offer
		var ids []string
		for i := range s.Apps {
			ids = append(ids, s.Apps[i].ID)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	})
}

// interruptible returns the command's context, which ends with Ctrl-C too.
func interruptible(c *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
}

// exactly checks the number of arguments, which names names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(names) == 0:
			return usageError{fmt.Errorf("%s takes no argument, got %q", c.Name(), args[0])}
		}
		return usageError{fmt.Errorf("%s takes %d arguments, %s; got %d", c.Name(), len(names), strings.Join(names, ", "), len(args))}
	}
}

// isNoServer reports whether a command failed because no server is running.
func isNoServer(err error) bool { return errors.Is(err, control.ErrNoServer) }
