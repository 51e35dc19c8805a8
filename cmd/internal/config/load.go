package config

import (
	"fmt"
	"strings"
)

// Load gathers and validates the configuration of one node.
//
// The environ strings are "NAME=value" as in os.Environ. The directory dir is
// where the .env file and relative file names are looked for; empty means the
// working directory of the process. The warnings are valid with and without an
// error. The error joins everything that is wrong, one line each; the Config is
// nil then.
func Load(flags Flags, environ []string, dir string) (*Config, []Warning, error) {
	r := &report{}
	envFile, err := readEnvFile(flags.EnvFile, dir)
	r.add(err)
	configFile, err := readConfigFile(flags.ConfigFile, dir)
	r.add(err)
	c := gather(flags, environ, envFile, configFile, r)
	if err := r.err(); err != nil {
		return nil, r.warnings, err
	}
	return c, r.warnings, nil
}

// gather is Load without the reading of files. What it returns is complete
// only if it reported no error.
func gather(flags Flags, environ []string, envFile, configFile content, r *report) *Config {
	c := &Config{
		Debug: flags.Debug, Daemon: flags.Daemon,
		ConfigFile: configFile.name, EnvFile: envFile.name,
		origins: map[string]string{},
	}
	process := processLayer(environ)
	l := &loader{
		report: r, origins: c.origins,
		flags: flags.values(),
		env:   environment{process, envFileLayer(envFile, process, r)},
		file:  &file{},
	}
	if configFile.name != "" {
		f, err := parseFile(configFile.name, configFile.src)
		if err != nil {
			r.fail("configuration file: %w", err)
		} else {
			l.file = f
		}
	}
	fileSchema().inspect(l.file.tree, "", r)
	l.env.inspect(r)

	var top root
	resolve(l, rootKeys, section{tree: l.file.tree, prefix: serverPrefix, env: l.env}, &top)
	l.server(&c.Server)
	c.Apps, c.Development = l.apps()
	c.check(r)
	return c
}

// loader is what one Load works with.
type loader struct {
	report  *report
	origins map[string]string
	flags   map[string]any
	env     environment
	file    *file
}

// section is one part of the configuration: a place in the file and the
// variables that may override it.
type section struct {
	tree   map[string]any
	path   string // of tree in the file, with its last dot; empty for the root
	prefix string // of environment names made by rule
	env    environment
	rename map[string]string // environment names that replace a key's own
}

// find returns the value of a key from the strongest origin that has one.
func (l *loader) find(s spec, in section) found {
	if value, given := l.flags[s.flag]; given {
		return found{value, "flag --" + s.flag}
	}
	name := s.envName(in.prefix)
	if other, renamed := in.rename[s.path]; renamed {
		name = other
	}
	if got, set := in.env.lookup(name); set {
		return got
	}
	if value, present := lookup(in.tree, s.path); present {
		return found{value, l.file.name + " " + in.path + s.path}
	}
	if s.fallback == "" {
		return found{nil, "default"}
	}
	return found{s.fallback, "default"}
}

// resolve reads the keys of a section into target.
func resolve[T any](l *loader, keys []key[T], in section, target *T) {
	for _, k := range keys {
		path := in.path + k.path
		got := l.find(k.spec, in)
		l.origins[path] = got.origin
		dst := k.field(target)
		if _, isText := dst.(*string); isText {
			got.value = l.text(got.value, path)
		}
		if err := k.parse(dst, got.value); err != nil {
			l.wrongValue(k.spec, path, got.origin, err)
		}
	}
}

// text returns a number of the file as the text that is written there, because
// an app id without quotes is a number for YAML.
func (l *loader) text(value any, path string) any {
	switch value.(type) {
	case uint64, int64, float64:
		if literal, found := l.file.literal(path); found {
			return literal
		}
	}
	return value
}

// wrongValue reports a value that its key does not accept.
func (l *loader) wrongValue(s spec, path, origin string, err error) {
	text := fmt.Sprintf("%s (%s): %v", path, origin, err)
	if origin == l.file.name+" "+path {
		text = fmt.Sprintf("%s: %s: %v", l.file.name, path, err)
	}
	l.report.fail("%s", text)
}

// server reads `servers.reverb`.
func (l *loader) server(s *Server) {
	tree, _ := lookup(l.file.tree, strings.TrimSuffix(serverSection, "."))
	below, _ := tree.(map[string]any)
	in := section{tree: below, path: serverSection, prefix: serverPrefix, env: l.env}

	// What is wrong with the cluster's Redis does not matter to a node that
	// never talks to it: the variables belong to the application then.
	before := len(l.report.wrong)
	resolve(l, clusterKeys, in, s)
	if !s.Scaling.Enabled {
		for _, err := range l.report.wrong[before:] {
			l.report.warn(serverSection+"scaling", err.Error()+"; scaling is off, so this is not used")
		}
		l.report.wrong = l.report.wrong[:before]
	}
	resolve(l, nodeKeys, in, s)
	resolve(l, monitoringKeys, in, s)
	s.Monitoring.Alerts = l.alerts(below)
}

// Locate returns what commands need to find a node that Load would configure: its
// port and, when one is set, its control socket. It works with configurations
// that have mistakes elsewhere.
func Locate(flags Flags, environ []string, dir string) (port int, control string) {
	r := &report{}
	envFile, _ := readEnvFile(flags.EnvFile, dir)
	configFile, _ := readConfigFile(flags.ConfigFile, dir)
	c := gather(flags, environ, envFile, configFile, r)
	return c.Server.Port, c.Server.Control
}
