package config

import (
	"maps"
	"slices"
	"strings"
)

// inspect warns of variables that look like ours and are not, and of those of
// later features. Variables with Reverb's prefix may belong to the application,
// so only what is close to a known name is reported.
func (e environment) inspect(r *report) {
	known := knownEnvNames()
	candidates := slices.Collect(maps.Keys(known))
	for _, name := range e.names() {
		u, isKnown := known[name]
		switch {
		case isKnown && u == later:
			if got, set := e.lookup(name); set && !isOff(got.value) {
				r.warn(name, notAvailable)
			}
		case isKnown:
		case isBelowLater(name):
			r.warn(name, notAvailable)
		case strings.HasPrefix(name, serverPrefix):
			r.warn(name, "unknown name"+suggestion(name, candidates))
		case strings.HasPrefix(name, "REVERB_") && nearest(name, candidates) != "":
			r.warn(name, "unknown name"+suggestion(name, candidates))
		}
	}
}

// knownEnvNames returns every variable that means something.
func knownEnvNames() map[string]use {
	known := map[string]use{}
	for _, k := range rootKeys {
		known[k.envName(serverPrefix)] = used
	}
	for _, k := range serverKeys {
		known[k.envName(serverPrefix)] = used
	}
	for _, k := range appKeys {
		known[k.envName(appPrefix)] = used
	}
	for _, names := range credentialNames {
		for name := range maps.Values(names) {
			known[name] = used
		}
	}
	for _, name := range unusedEnvNames {
		known[name] = unused
	}
	for _, name := range laterNames() {
		known[name] = later
	}
	return known
}

// laterNames returns the variables of features that this version does not have.
func laterNames() []string {
	var names []string
	for _, path := range laterServerPaths {
		names = append(names, ruledName(serverPrefix, path))
	}
	return names
}

// isBelowLater reports whether a variable names a key below a later one, such
// as RESOUND_MONITORING_STORAGE.
func isBelowLater(name string) bool {
	return slices.ContainsFunc(laterNames(), func(parent string) bool {
		return strings.HasPrefix(name, parent+"_")
	})
}
