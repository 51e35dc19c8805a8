package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"resound/cmd/internal/config/dotenv"
)

// layer is the variables of one origin.
type layer struct {
	origin string // "environment", ".env"
	values map[string]string
}

// environment is the layers of variables, the strongest first.
type environment []layer

// found is a value and where it comes from.
type found struct {
	value  any // nil stands for null
	origin string
}

// lookup returns the value of a variable as Laravel's env() would: "null" is
// null, one pair of quotes around the text is not part of it. A variable that
// is set to nothing counts as not set, so that an empty line of a .env template
// or an empty setting of a container does not hide a value below it.
//
// Departs: Laravel's env() gives an empty text for an empty variable.
func (e environment) lookup(name string) (found, bool) {
	for _, l := range e {
		text, set := l.values[name]
		if !set {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "", "empty", "(empty)":
			continue
		case "null", "(null)":
			return found{nil, l.origin + " " + name}, true
		default:
			return found{unquote(text), l.origin + " " + name}, true
		}
	}
	return found{}, false
}

// unquote removes one pair of equal quotes around text.
func unquote(text string) string {
	n := len(text)
	if n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}

// hasValue reports whether a variable is set to something other than nothing
// or null.
func (e environment) hasValue(name string) bool {
	got, set := e.lookup(name)
	return set && got.value != nil
}

// names returns every variable of every layer, sorted.
func (e environment) names() []string {
	all := map[string]bool{}
	for _, l := range e {
		for name := range l.values {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// processLayer splits the "NAME=value" strings of a process. As for the C
// library, the first of two equal names counts.
func processLayer(environ []string) layer {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, set := values[name]; !set {
			values[name] = value
		}
	}
	return layer{"environment", values}
}

// envFileLayer reads the variables of a .env file.
func envFileLayer(f content, process layer, r *report) layer {
	values, err := dotenv.Parse(f.src, func(name string) (string, bool) {
		value, set := process.values[name]
		return value, set
	})
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			r.fail("%s: %s", f.name, line)
		}
	}
	return layer{filepath.Base(f.name), values}
}
