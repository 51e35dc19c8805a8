package config

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// mask is shown in the place of a secret.
const mask = "********"

// Setting is one value in force, for people. A secret is masked.
type Setting struct {
	Key    string `json:"key"` // full path
	Value  string `json:"value"`
	Origin string `json:"origin"` // see Config.Origin
}

// Settings returns every value with its origin, in the order of docs/CONFIG.md.
func (c *Config) Settings() []Setting {
	all := settingsOf(c, serverKeys, serverSection, &c.Server)
	for i := range c.Server.Monitoring.Alerts {
		a := &c.Server.Monitoring.Alerts[i]
		all = append(all, settingsOf(c, alertKeys, alertPath(a.Name), a)...)
	}
	for i := range c.Apps {
		a := &c.Apps[i]
		all = append(all, settingsOf(c, appKeys, appPath(i), a)...)
		for j := range a.Webhooks {
			path := fmt.Sprintf("%swebhooks[%d].", appPath(i), j)
			all = append(all, settingsOf(c, webhookKeys, path, &a.Webhooks[j])...)
			for _, name := range slices.Sorted(maps.Keys(a.Webhooks[j].Headers)) {
				all = append(all, Setting{path + "headers." + name, mask, ""})
			}
		}
	}
	return all
}

func settingsOf[T any](c *Config, keys []key[T], section string, from *T) []Setting {
	out := make([]Setting, 0, len(keys))
	for _, k := range keys {
		value := formatValue(k.field(from))
		if k.secret && value != "" {
			value = mask
		}
		out = append(out, Setting{section + k.path, value, c.origins[section+k.path]})
	}
	return out
}

// formatValue returns what a field points to as it could be written in a
// configuration. A pointer that is nil stands for null, the empty text.
func formatValue(field any) string {
	switch v := field.(type) {
	case *[]string:
		return strings.Join(*v, ",")
	case *[]netip.Prefix:
		texts := make([]string, len(*v))
		for i, p := range *v {
			texts[i] = p.String()
		}
		return strings.Join(texts, ",")
	case *[]byte:
		return string(*v) // an encryption key, which is masked
	}
	v := reflect.ValueOf(field)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return fmt.Sprint(v.Interface())
}
