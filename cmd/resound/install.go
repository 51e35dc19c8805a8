package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"resound/cmd/internal/config"
)

func installCommand() *cobra.Command {
	var file string
	var force bool
	c := &cobra.Command{
		Use:   "install",
		Short: "Write the REVERB_* and VITE_* lines into a .env",
		Long: `Write what a Laravel project needs into its .env, as "php artisan reverb:install"
does: new credentials, host, port and scheme, the VITE_* lines for Echo, and
BROADCAST_CONNECTION. Lines that are there stay as they are, unless --force.`,
		Example: `  resound install
  resound install --env-file ../shared/.env`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			done, err := install(file, force)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			for _, x := range []struct {
				what  string
				names []string
			}{{"Added", done.added}, {"Replaced", done.replaced}, {"Left as they are", done.kept}} {
				if len(x.names) > 0 {
					fmt.Fprintf(out, "  INFO  %s in %s: %s.\n", x.what, file, strings.Join(x.names, ", "))
				}
			}
			if slices.Contains(done.kept, broadcastName) && !done.broadcasts {
				fmt.Fprintf(out, "  WARN  Set %s=reverb in %s for Laravel to broadcast through this server.\n", broadcastName, file)
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "env-file", ".env", "environment file to write to")
	c.Flags().BoolVar(&force, "force", false, "replace values that are there; clients with the old key cannot connect any more")
	return c
}

// broadcastName is what makes Laravel broadcast.
const broadcastName = "BROADCAST_CONNECTION"

// variable is a line of a .env.
type variable struct{ name, value string }

// variables are what install writes.
//
// Reverb: InstallCommand::addEnvironmentVariables and updateBroadcastingDriver.
func variables() []variable {
	id, key, secret := config.NewCredentials()
	return []variable{
		{"REVERB_APP_ID", id},
		{"REVERB_APP_KEY", key},
		{"REVERB_APP_SECRET", secret},
		{"REVERB_HOST", `"localhost"`},
		{"REVERB_PORT", "8080"},
		{"REVERB_SCHEME", "http"},
		{"VITE_REVERB_APP_KEY", `"${REVERB_APP_KEY}"`},
		{"VITE_REVERB_HOST", `"${REVERB_HOST}"`},
		{"VITE_REVERB_PORT", `"${REVERB_PORT}"`},
		{"VITE_REVERB_SCHEME", `"${REVERB_SCHEME}"`},
		{broadcastName, "reverb"},
	}
}

// installed is what install did, as names of variables.
type installed struct {
	added, replaced, kept []string
	broadcasts            bool // BROADCAST_CONNECTION is reverb
}

// install writes the variables into a file, which it replaces at once or leaves.
func install(file string, force bool) (done installed, err error) {
	// A link to a file that several releases share stays a link.
	path, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		return done, fmt.Errorf("%s is not there; in a Laravel project: cp .env.example .env", file)
	}
	if err != nil {
		return done, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return done, err
	}
	next, done := installInto(text, variables(), force)
	if bytes.Equal(next, text) {
		return done, nil
	}
	return done, replaceFile(path, next)
}

// installInto returns text with the variables that it does not have and, forced,
// with the values of all.
func installInto(text []byte, all []variable, force bool) (next []byte, done installed) {
	eol := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		eol = "\r\n"
	}
	next = text
	var lines []string
	for _, v := range all {
		line := regexp.MustCompile(`(?m)^([ \t]*(?:export[ \t]+)?` + regexp.QuoteMeta(v.name) + `[ \t]*=)[^\r\n]*`)
		switch at := line.FindAllSubmatchIndex(next, -1); {
		case at == nil:
			lines = append(lines, v.name+"="+v.value)
			done.added = append(done.added, v.name)
		case force:
			// The last of several counts; all of them get the value.
			next = line.ReplaceAllFunc(next, func(found []byte) []byte {
				head := line.FindSubmatch(found)[1]
				return append(slices.Clone(head), v.value...)
			})
			done.replaced = append(done.replaced, v.name)
		default:
			done.kept = append(done.kept, v.name)
		}
	}
	if len(lines) > 0 {
		if len(next) > 0 && !bytes.HasSuffix(next, []byte("\n")) {
			next = append(slices.Clone(next), eol...)
		}
		if len(next) > 0 {
			next = append(slices.Clone(next), eol...)
		}
		next = append(next, strings.Join(lines, eol)+eol...)
	}
	done.broadcasts = regexp.MustCompile(`(?m)^[ \t]*` + broadcastName + `[ \t]*=[ \t]*["']?reverb["']?[ \t]*\r?$`).Match(next)
	return next, done
}

// replaceFile writes a file of the same mode and owner beside the old one and
// gives it the name: whoever reads sees the old or the new, and a full disk leaves
// the old.
func replaceFile(path string, text []byte) error {
	was, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".env-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing, once it is renamed
	defer f.Close()
	if err := f.Chmod(was.Mode().Perm()); err != nil {
		return err
	}
	if owner, ok := was.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
