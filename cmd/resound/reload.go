package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
)

func reloadCommand() *cobra.Command {
	return changing(&cobra.Command{
		Use:   "reload",
		Short: "Make the running server read its configuration again",
		Long: `Make the running server read its .env and its configuration file again, without
dropping a connection: apps, their credentials, limits, origins and webhooks. The
connections of an app that is gone are closed with 4001.

A configuration with a mistake is refused as a whole, and the old one stays. What
needs a restart is said. SIGHUP does the same.`,
		Example: `  resound reload
  kill -HUP $(cat resound.pid)`,
	}, "the old configuration stays", (*control.Client).Reload, writeReloaded)
}

func writeReloaded(out io.Writer, done *control.Reloaded) {
	for _, w := range done.Warnings {
		fmt.Fprintf(out, "  WARN  %s\n", w)
	}
	d := &done.Difference
	var parts []string
	for _, x := range []struct {
		what string
		ids  []string
	}{
		{"apps added", d.Added}, {"apps changed", d.Changed}, {"apps removed", d.Removed}, {"keys changed", d.Live},
	} {
		if len(x.ids) > 0 {
			parts = append(parts, x.what+": "+strings.Join(x.ids, ", "))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing changed"}
	}
	fmt.Fprintf(out, "  INFO  Configuration reloaded; %s.\n", strings.Join(parts, "; "))
}
