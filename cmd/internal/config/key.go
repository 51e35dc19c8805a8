package config

import (
	"strings"
	"time"
)

// Where the sections of a configuration stand in its file.
const (
	serverSection = "servers.reverb."
	appSection    = "apps.apps[]."
)

// Prefixes of environment names that Reverb does not have.
const (
	serverPrefix = "RESOUND_"
	appPrefix    = "RESOUND_APP_"
)

// spec declares one key: everything about it except the field it is for.
type spec struct {
	path string // below its section, with dots
	env  string // Reverb's environment name; empty: made by rule, see envName
	flag string // name of the flag, without dashes; empty: none

	unit     string // of a number: "bytes", "connections"
	fallback string // the default, as it would be written; empty: nothing
	null     string // what null stands for; empty: the default
	on       int64  // what true stands for, of a limit that false takes away; 0: true is no value
	min, max int64  // range of a number or, in nanoseconds, of a duration
	whole    bool   // the duration is whole seconds
	secret   bool   // the value is never shown
	required bool   // an app without it is an error
	live     bool   // of the server: a reload puts it into force
	// refine checks a text and returns its final form.
	refine func(string) (string, error)

	meaning string // one or two sentences
	danger  string // what can go wrong; may be empty
}

// key declares one key of a section that is read into a T.
type key[T any] struct {
	spec
	field func(*T) any // address of the field in T
}

// envName is the environment name of a key: Reverb's where Reverb has one,
// otherwise the prefix of the section and the path in upper snake case.
func (s spec) envName(prefix string) string {
	if s.env != "" {
		return s.env
	}
	return ruledName(prefix, s.path)
}

// ruledName is the environment name of a key that Reverb does not have.
func ruledName(prefix, path string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// Bounds that several keys share.
const (
	maxCount    = 1_000_000_000
	maxDuration = int64(7 * 24 * time.Hour)
)
