package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"resound/cmd/internal/config"
)

func keysCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make credentials for an app",
		Long: `Make the id, the key and the secret of a new app, as lines for a .env file. They
are printed and not kept anywhere.`,
		Example: `  resound keys
  resound keys >> .env`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			id, key, secret := config.NewCredentials()
			out := c.OutOrStdout()
			if asJSON {
				return printJSON(out, struct {
					ID     string `json:"app_id"`
					Key    string `json:"key"`
					Secret string `json:"secret"`
				}{id, key, secret})
			}
			_, err := fmt.Fprintf(out, "REVERB_APP_ID=%s\nREVERB_APP_KEY=%s\nREVERB_APP_SECRET=%s\n", id, key, secret)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, in the shape of an entry of apps.apps")
	return c
}
