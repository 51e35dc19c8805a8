package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"resound/cmd/internal/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check or show the configuration",
		Long:  "Check or show the configuration that start would use here.",
		Example: `  resound config check
  resound config print`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("config has no command %q; there are check and print", args[0])}
			}
			return usageError{errors.New("config needs a command: check or print")}
		},
	}
	c.AddCommand(configCheckCommand(), configPrintCommand())
	return c
}

func configCheckCommand() *cobra.Command {
	var flags config.Flags
	var credentials bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the configuration",
		Long: `Say everything that is wrong with the configuration; exit code 1 if something is.
Warnings are no mistakes.`,
		Example: `  resound config check
  resound config check --config reverb.json
  resound config check --credentials && resound start`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, flags)
			if err != nil {
				return err
			}
			if credentials && cfg.Development {
				return errNoCredentials
			}
			fmt.Fprintf(c.OutOrStdout(), "  INFO  The configuration is fine: %d apps, port %d.\n", len(cfg.Apps), cfg.Server.Port)
			return nil
		},
	}
	configFlags(c, &flags)
	c.Flags().BoolVar(&credentials, "credentials", false, "fail too when there are no credentials, where start would make a development app")
	return c
}

// errNoCredentials is what services are kept from starting with.
var errNoCredentials = errors.New("no credentials are configured: set REVERB_APP_ID, REVERB_APP_KEY and REVERB_APP_SECRET, to those of the application or to what 'resound keys' prints")

func configPrintCommand() *cobra.Command {
	var flags config.Flags
	var asJSON bool
	c := &cobra.Command{
		Use:   "print",
		Short: "Print every value with its origin, secrets masked",
		Example: `  resound config print
  resound config print --json | jq '.[] | select(.origin != "default")'`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, flags)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			if asJSON {
				return printJSON(out, cfg.Settings())
			}
			var rows [][]string
			for _, s := range cfg.Settings() {
				rows = append(rows, []string{s.Key, s.Value, s.Origin})
			}
			return writeTable(out, screenOf(out).width, []column{{title: "KEY", cut: true}, {title: "VALUE", cut: true}, {title: "ORIGIN", cut: true}}, rows)
		},
	}
	configFlags(c, &flags)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func configFlags(c *cobra.Command, flags *config.Flags) {
	c.Flags().StringVar(&flags.ConfigFile, "config", "", "YAML or JSON in the shape of Laravel's config('reverb')")
	c.Flags().StringVar(&flags.EnvFile, "env-file", "", "environment file (default .env)")
}

// loadConfig loads the configuration and prints its warnings.
func loadConfig(c *cobra.Command, flags config.Flags) (*config.Config, error) {
	cfg, warnings, err := config.Load(flags, os.Environ(), "")
	for _, w := range warnings {
		fmt.Fprintf(c.ErrOrStderr(), "  WARN  %s\n", w)
	}
	return cfg, err
}
