package config

import (
	"maps"
	"slices"
	"strings"
)

// inspect warns of variables that look like ours and are not. Variables with
// Reverb's prefix may belong to the application, so only what is close to a known
// name is reported.
func (e environment) inspect(r *report) {
	known := knownEnvNames()
	candidates := slices.Collect(maps.Keys(known))
	for _, name := range e.names() {
		_, isKnown := known[name]
		switch {
		case isKnown:
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
	return known
}
