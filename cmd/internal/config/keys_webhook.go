package config

import (
	"fmt"
	"maps"
	"slices"
)

// webhookKeys declares one entry of `apps.apps[].webhooks`. Webhooks are set in
// the file only.
//
// Pusher: webhooks. The names are soketi's.
var webhookKeys = []key[Webhook]{
	{
		spec{
			path: "url", secret: true, null: "required", refine: httpURL,
			meaning: "Where the events are sent, `http://` or `https://`.",
		},
		func(w *Webhook) any { return &w.URL },
	},
	{
		spec{
			path: "event_types", null: "all of them",
			meaning: "Events that are sent: `channel_occupied`, `channel_vacated`, `member_added`, `member_removed`, `client_event`, `cache_miss`, `subscription_count`.",
		},
		func(w *Webhook) any { return &w.EventTypes },
	},
	{
		spec{
			path: "filter.channel_name_starts_with", null: "any",
			meaning: "Only events of channels whose name begins so.",
		},
		func(w *Webhook) any { return &w.ChannelPrefix },
	},
	{
		spec{
			path: "filter.channel_name_ends_with", null: "any",
			meaning: "Only events of channels whose name ends so.",
		},
		func(w *Webhook) any { return &w.ChannelSuffix },
	},
}

// webhooks reads the list of an app. What the values mean is checked by who
// sends them.
func (l *loader) webhooks(tree map[string]any, path string) []Webhook {
	value := tree["webhooks"]
	items, isList := value.([]any)
	if !isList {
		if !isOff(value) {
			l.report.fail("%s: %swebhooks: not a list of webhooks", l.file.name, path)
		}
		return nil
	}
	known := &schema{}
	for _, k := range webhookKeys {
		known.add(k.path, used)
	}
	known.add("headers", used)

	hooks := make([]Webhook, len(items))
	for i, item := range items {
		at := fmt.Sprintf("%swebhooks[%d].", path, i)
		below, isMap := item.(map[string]any)
		if !isMap {
			l.report.fail("%s: %s: not a map with the keys of a webhook", l.file.name, at[:len(at)-1])
			continue
		}
		known.inspect(below, at, l.report)
		resolve(l, webhookKeys, section{tree: below, path: at, prefix: "-"}, &hooks[i])
		if hooks[i].URL == "" {
			l.report.fail("%s: %surl is required", l.file.name, at)
		}
		hooks[i].Headers = l.headers(below["headers"], at)
	}
	return hooks
}

// headers reads a map of header names to texts.
func (l *loader) headers(value any, at string) map[string]string {
	if isOff(value) {
		return nil
	}
	tree, isMap := value.(map[string]any)
	if !isMap {
		l.report.fail("%s: %sheaders: not a map of names to texts", l.file.name, at)
		return nil
	}
	headers := make(map[string]string, len(tree))
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		text, isText := tree[name].(string)
		if !isText {
			l.report.fail("%s: %sheaders.%s: not a text; put it in quotes", l.file.name, at, shorten(name))
		}
		headers[name] = text
	}
	return headers
}
