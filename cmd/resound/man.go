package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "Print the manual page",
		Example: "  resound man | man -l -",
		Hidden:  true, // it is for those who make packages
		Args:    exactly(),
		RunE:    func(c *cobra.Command, _ []string) error { return writeMan(c.OutOrStdout(), c.Root()) },
	}
}

// writeMan writes one page for all commands, made of what --help says.
func writeMan(out io.Writer, root *cobra.Command) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH RESOUND 1 "" "resound %s"`, roff(root.Version))
	line(".SH NAME\nresound \\- %s", roff(root.Short))
	line(".SH SYNOPSIS\n.B resound\n.I command\n[\n.I flags\n]")
	line(".SH COMMANDS")
	writeManCommands(line, root)
	line(".SH EXIT STATUS\n0 fine, %d failed, %d wrong usage, %d no server is running.", exitFailed, exitUsage, exitNoServer)
	_, err := io.WriteString(out, b.String())
	return err
}

// writeManCommands writes a section for each command below c that does something.
func writeManCommands(line func(string, ...any), c *cobra.Command) {
	for _, c := range c.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if c.HasAvailableSubCommands() {
			writeManCommands(line, c)
			continue
		}
		line(".SS %s", roff(c.UseLine()))
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		line(".nf\n%s\n.fi", roff(strings.TrimSpace(text)))
		if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
			line(".PP\n.nf\n%s\n.fi", roff(strings.TrimRight(flags.FlagUsages(), "\n")))
		}
		if c.Example != "" {
			line(".PP\nExamples:\n.PP\n.nf\n%s\n.fi", roff(c.Example))
		}
	}
}

// roff makes a text stand for itself in a manual page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
