package config

import (
	"maps"
	"slices"
	"strings"
)

// use says what becomes of a key.
type use int

const (
	used      use = iota
	unused        // accepted without a word
	misplaced     // means something elsewhere
)

// schema is the tree of known keys, for finding the unknown ones.
type schema struct {
	below map[string]*schema // empty for a key with a value
	use   use
}

// add makes the dotted path known.
func (s *schema) add(path string, u use) {
	name, rest, deeper := strings.Cut(path, ".")
	if s.below == nil {
		s.below = map[string]*schema{}
	}
	if s.below[name] == nil {
		s.below[name] = &schema{}
	}
	if deeper {
		s.below[name].add(rest, u)
		return
	}
	s.below[name].use = u
}

// addAll makes several paths known.
func (s *schema) addAll(prefix string, paths []string, u use) {
	for _, path := range paths {
		s.add(prefix+path, u)
	}
}

// fileSchema knows the whole file except the keys of an app.
func fileSchema() *schema {
	s := &schema{}
	for _, k := range rootKeys {
		s.add(k.path, used)
	}
	for _, k := range serverKeys {
		s.add(serverSection+k.path, used)
	}
	s.add(serverSection+"monitoring.alerts", used)
	s.addAll(serverSection, unusedServerPaths, unused)
	s.addAll("", misplacedRootPaths, misplaced)
	s.add("apps.apps", used)
	return s
}

// appSchema knows the keys of one app.
func appSchema() *schema {
	s := &schema{}
	for _, k := range appKeys {
		s.add(k.path, used)
	}
	s.add("webhooks", used)
	s.addAll("", unusedAppPaths, unused)
	return s
}

// inspect reports the keys of tree that are unknown, or
// values where a map belongs. The prefix is the path of tree with its last dot.
func (s *schema) inspect(tree map[string]any, prefix string, r *report) {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		value, path := tree[name], prefix+name
		known := s.below[name]
		switch {
		case known == nil:
			r.warn(shorten(path), "unknown key"+suggestion(name, slices.Collect(maps.Keys(s.below))))
		case known.use == misplaced:
			r.warn(path, belongsToServer)
		case known.use != used || known.below == nil || isEmptyMap(value):
		default:
			inner, isMap := value.(map[string]any)
			if !isMap {
				r.fail("%s: not a map of keys", path)
				continue
			}
			known.inspect(inner, path+".", r)
		}
	}
}

// isOff reports whether a value turns its feature off.
func isOff(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case bool:
		return !value
	case uint64:
		return value == 0
	case int64:
		return value == 0
	case float64:
		return value == 0
	case []any:
		return len(value) == 0
	case map[string]any:
		for _, inner := range value {
			if !isOff(inner) {
				return false
			}
		}
		return true
	case string:
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "", "0", "false", "(false)", "off", "no", "none", "null", "(null)", "empty", "(empty)":
			return true
		}
	}
	return false
}
