package config

import "reflect"

// Difference is what a new configuration changes.
type Difference struct {
	Added   []string `json:"added,omitempty"`   // ids of apps
	Changed []string `json:"changed,omitempty"` // ids of apps
	Removed []string `json:"removed,omitempty"` // ids of apps

	Live    []string `json:"live,omitempty"`    // keys of the server that a reload puts into force
	Restart []string `json:"restart,omitempty"` // keys of the server that wait for a restart
}

// Compare says what replacing old with next changes.
func Compare(old, next *Config) Difference {
	var d Difference
	for _, k := range serverKeys {
		if reflect.DeepEqual(k.field(&old.Server), k.field(&next.Server)) {
			continue
		}
		if k.live {
			d.Live = append(d.Live, serverSection+k.path)
		} else {
			d.Restart = append(d.Restart, serverSection+k.path)
		}
	}
	before := make(map[string]*App, len(old.Apps))
	for i := range old.Apps {
		before[old.Apps[i].ID] = &old.Apps[i]
	}
	for i := range next.Apps {
		a := &next.Apps[i]
		switch was := before[a.ID]; {
		case was == nil:
			d.Added = append(d.Added, a.ID)
		case !reflect.DeepEqual(was, a):
			d.Changed = append(d.Changed, a.ID)
		}
		delete(before, a.ID)
	}
	for i := range old.Apps {
		if before[old.Apps[i].ID] != nil {
			d.Removed = append(d.Removed, old.Apps[i].ID)
		}
	}
	return d
}

// Stay carries over from the configuration in force what next must not change:
// the credentials of a development app, which Load makes anew each time, and the
// flags of the process.
func (c *Config) Stay(old *Config) {
	c.Debug, c.Daemon = old.Debug, old.Daemon
	if c.Development && old.Development {
		a, was := &c.Apps[0], &old.Apps[0]
		a.ID, a.Key, a.Secret = was.ID, was.Key, was.Secret
	}
}
