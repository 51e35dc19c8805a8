package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands returns every command that resound has of its own.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, c := range commands(newRoot()) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Short == "" {
				t.Error("got no line that says what it does: set Short")
			}
			if !strings.HasPrefix(c.Example, "  ") {
				t.Errorf("got examples %q, want lines indented by two spaces: set Example", c.Example)
			}
			if !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("got examples %q, want %q among them", c.Example, c.CommandPath())
			}
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" {
					t.Errorf("got no text for --%s", f.Name)
				}
			})
		})
	}
}

// TestExamplesAreCommands reads each example as the shell would, as far as a line
// is one of resound's: its commands and flags must exist.
func TestExamplesAreCommands(t *testing.T) {
	for _, c := range commands(newRoot()) {
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "resound" {
				continue
			}
			root := newRoot()
			root.InitDefaultHelpCmd()
			found, rest, err := root.Find(words[1:])
			if err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
				continue
			}
			for _, word := range rest {
				if strings.ContainsAny(word, "|>&;") {
					break // from here on it is another program's
				}
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag {
					name, _, _ = strings.Cut(name, "=")
					if found.Flags().Lookup(name) == nil {
						t.Errorf("%s: example %q: %s has no flag --%s", c.CommandPath(), line, found.CommandPath(), name)
					}
				}
			}
		}
	}
}

func TestManualHasEveryCommand(t *testing.T) {
	var page bytes.Buffer
	root := newRoot()
	if err := writeMan(&page, root); err != nil {
		t.Fatal(err)
	}
	for _, c := range commands(root) {
		if c.Hidden || c.HasSubCommands() {
			continue
		}
		if !strings.Contains(page.String(), "\n.SS "+roff(c.CommandPath())) {
			t.Errorf("got no section of %s, want one", c.CommandPath())
		}
	}
	requests := []string{".TH", ".SH", ".SS", ".B", ".I", ".PP", ".nf", ".fi"}
	for line := range strings.Lines(page.String()) {
		if request, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(line, ".") && !slices.Contains(requests, request) {
			t.Errorf("got %q at the beginning of a line, want text that is no request", request)
		}
	}
	t.Run("man reads it", func(t *testing.T) {
		path, err := exec.LookPath("groff")
		if err != nil {
			t.Skip("groff is not installed")
		}
		cmd := exec.Command(path, "-man", "-Tutf8", "-ww")
		cmd.Stdin = &page
		var problems bytes.Buffer
		cmd.Stderr = &problems
		if err := cmd.Run(); err != nil || problems.Len() > 0 {
			t.Errorf("got %v and %q, want neither error nor warning", err, problems.String())
		}
	})
}
