package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

// runDoctor runs the command in an empty folder and returns what it printed.
func runDoctor(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir()) // no .env
	c := doctorCommand()
	var out strings.Builder
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

func TestDoctor(t *testing.T) {
	t.Run("a hundred connections are no fault, in text and in JSON", func(t *testing.T) {
		out, err := runDoctor(t, "--connections", "100", "--port", "0")
		if err != nil || !strings.Contains(out, "for 100 connections") || !strings.Contains(out, " 0 faults") {
			t.Errorf("got %v and %q, want no fault", err, out)
		}
		out, err = runDoctor(t, "--connections", "100", "--port", "0", "--json")
		var report struct {
			Connections int
			Findings    []struct{ Check, Status, Is, Want, Why string }
		}
		if err := errors.Join(err, json.Unmarshal([]byte(out), &report)); err != nil || report.Connections != 100 || len(report.Findings) < 10 {
			t.Errorf("got %v and %q, want a report for 100", err, out)
		}
	})
	t.Run("more than any host can hold fails, after the report", func(t *testing.T) {
		out, err := runDoctor(t, "--connections", "2000000000")
		if !errors.Is(err, errFaults) || !strings.Contains(out, "fault    memory") || !strings.Contains(out, "fix: LimitNOFILE=") {
			t.Errorf("got %v and %q, want faults with their fixes", err, out)
		}
	})
	t.Run("the number comes from the configuration", func(t *testing.T) {
		t.Setenv("RESOUND_MAX_CONNECTIONS", "321")
		if out, err := runDoctor(t, "--port", "0"); err != nil || !strings.Contains(out, "for 321 connections") {
			t.Errorf("got %v and %q, want 321 connections", err, out)
		}
		if out, err := runDoctor(t, "--port", "0", "--connections", "123"); err != nil || !strings.Contains(out, "for 123 connections") {
			t.Errorf("got %v and %q, want 123 connections, the flag wins", err, out)
		}
	})
	t.Run("TLS counts", func(t *testing.T) {
		t.Setenv("RESOUND_OPTIONS_TLS_LOCAL_CERT", "/nowhere.pem")
		out, err := runDoctor(t, "--connections", "100", "--port", "0", "--json")
		if err != nil || !strings.Contains(out, "11 KB, ten of them for TLS") {
			t.Errorf("got %v and %q, want the memory that TLS takes", err, out)
		}
	})
	t.Run("without a number it is what the descriptors allow", func(t *testing.T) {
		if out, err := runDoctor(t, "--port", "0"); out == "" || err != nil && !errors.Is(err, errFaults) {
			t.Errorf("got %v and %q, want a report", err, out)
		}
	})
	for name, args := range map[string][]string{
		"an argument":                      {"please"},
		"a negative number of connections": {"--connections", "-1"},
	} {
		t.Run(name+" is wrong usage", func(t *testing.T) {
			if _, err := runDoctor(t, args...); !errors.As(err, new(usageError)) {
				t.Errorf("got %v, want a usage error", err)
			}
		})
	}
	t.Run("a broken configuration is an error without a report", func(t *testing.T) {
		t.Setenv("RESOUND_MAX_CONNECTIONS", "many")
		if out, err := runDoctor(t); err == nil || out != "" {
			t.Errorf("got %v and %q, want an error alone", err, out)
		}
	})
}
