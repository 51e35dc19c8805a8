package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func dashboardCommand() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:     "dashboard",
		Short:   "Print a link that opens the dashboard once",
		Example: `  xdg-open "$(resound dashboard)"`,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			link, err := client.DashboardLink(c.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), link.URL)
			return err
		},
	}
	t.bind(c)
	return c
}
