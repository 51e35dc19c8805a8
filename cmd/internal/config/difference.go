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

// Succeed makes c the configuration that follows old in a running node, and says
// what it changes. What must not or cannot change stays as it is in old: the flags
// of the process, the credentials of a development app, which Load makes anew each
// time, and the keys that wait for a restart.
func (c *Config) Succeed(old *Config) Difference {
	c.Debug, c.Daemon = old.Debug, old.Daemon
	if c.Development && old.Development {
		a, was := &c.Apps[0], &old.Apps[0]
		a.ID, a.Key, a.Secret = was.ID, was.Key, was.Secret
	}
	d := compare(old, c)
	for _, k := range serverKeys {
		if !k.live {
			reflect.ValueOf(k.field(&c.Server)).Elem().Set(reflect.ValueOf(k.field(&old.Server)).Elem())
		}
	}
	return d
}

// compare says what replacing old with next changes.
func compare(old, next *Config) Difference {
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
	if !reflect.DeepEqual(old.Server.Monitoring.Alerts, next.Server.Monitoring.Alerts) {
		d.Live = append(d.Live, alertSection)
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
