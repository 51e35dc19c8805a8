package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Reference returns the documentation of every key as Markdown: docs/CONFIG.md.
func Reference() string {
	var out strings.Builder
	out.WriteString(preamble)
	out.WriteString("\n## Server\n\nIn the file below `servers.reverb`.\n")
	describe(&out, nodeKeys, serverPrefix)
	out.WriteString("\n## Monitoring\n\nIn the file below `servers.reverb`. More in [MONITORING.md](MONITORING.md).\n")
	describe(&out, monitoringKeys, serverPrefix)
	out.WriteString("\n## Alerts\n\n" + alertPreamble)
	describeFileOnly(&out, alertKeys)
	out.WriteString("\n## Apps\n\n" + appPreamble)
	describe(&out, appKeys, appPrefix)
	out.WriteString("\n## Webhooks\n\n" + webhookPreamble)
	describeFileOnly(&out, webhookKeys)
	out.WriteString("\n### `headers`\n\nA map of names to texts, sent with each request.\n")
	out.WriteString("\n## Cluster\n\nIn the file below `servers.reverb`. Without scaling, a mistake here is only a warning.\n")
	describe(&out, clusterKeys, serverPrefix)
	out.WriteString("\n## Drivers\n\nAt the top of the file.\n")
	describe(&out, rootKeys, serverPrefix)
	describeOthers(&out)
	return out.String()
}

const preamble = `# Configuration

This page is generated from the table of keys in ` + "`cmd/internal/config`" + `; ` + "`go test ./cmd/internal/config -update`" + ` writes it.

## Units

- Sizes are bytes, without suffixes: ` + "`65536`" + `.
- Durations are seconds when they are plain numbers (` + "`30`, `0.5`" + `), or have a unit: ` + "`500ms`, `90s`, `5m`, `1h`" + `.
- Booleans are ` + "`true`, `(true)`, `1`, `yes`, `on` and `false`, `(false)`, `0`, `no`, `off`" + `.
- Lists are lists in the file and texts with commas in the environment.
- ` + "`null`" + ` is the default, except where a key says what it means. An empty text in the file is null; an empty variable is as if it were not set.

## Where values come from

Flags beat the process environment, the environment beats ` + "`.env`, `.env`" + ` beats the configuration file, the file beats the defaults.

- ` + "`.env`" + ` is read from the working directory when it is there; ` + "`--env-file FILE`" + ` names another one, which must exist. Its grammar is Laravel's: quotes, ` + "`${NAME}`" + `, comments, ` + "`export`" + `.
- ` + "`--config FILE`" + ` is YAML or JSON in the shape of Laravel's ` + "`config('reverb')`" + ` array:
  ` + "`php artisan tinker --execute=\"echo json_encode(config('reverb'));\" > reverb.json`" + `.
- The environment name of a key is Reverb's where Reverb has one. Otherwise it is ` + "`RESOUND_`" + ` and the path below ` + "`servers.reverb`" + ` in upper case, or
  ` + "`RESOUND_APP_`" + ` and the path below the app: ` + "`RESOUND_MAX_OUTBOUND_BYTES`, `RESOUND_APP_CACHE_TTL`" + `.
- ` + "`resound reload`" + ` and SIGHUP read everything again. What an app says is put into force, of the server's keys those that say so; a change of another one is a warning and waits for a restart.
- ` + "`resound config print`" + ` shows every value with its origin, ` + "`resound config check`" + ` what is wrong.
- Unknown keys are warnings. Wrong values are errors, all reported at once; the node does not start with any.
`

const appPreamble = `In the file in each entry of ` + "`apps.apps`" + `. The environment describes one app: the only one, or the one of the file whose ` + "`app_id`" + ` is ` + "`REVERB_APP_ID`" + `.
With several apps and no such id the variables are ignored, with a warning.

Where none of ` + "`REVERB_APP_ID`, `REVERB_APP_KEY` and `REVERB_APP_SECRET`" + ` has a value, ` + "`PUSHER_APP_*`" + ` and then ` + "`SOKETI_DEFAULT_APP_*`" + ` stand in for the three; they override an app of
the file only when it has their id or no credentials. Without any credentials a development app is made for one run; it is not for production.
`

const alertPreamble = `In the file below ` + "`servers.reverb.monitoring.alerts.NAME`" + `; the environment has no names for them. ` + "`resound reload`" + ` puts a change into force. More in [MONITORING.md](MONITORING.md).
`

const webhookPreamble = `In the file in each entry of ` + "`apps.apps[].webhooks`" + `; the environment has no names for them.
`

// describeFileOnly writes the keys of a section that the environment cannot set.
func describeFileOnly[T any](out *strings.Builder, keys []key[T]) {
	for _, k := range keys {
		fmt.Fprintf(out, "\n### `%s`\n\n%s\n\n- %s; default: %s\n", k.path, k.meaning, k.kind(k.field(new(T))), k.defaultText())
	}
}

// describe writes the keys of one section.
func describe[T any](out *strings.Builder, keys []key[T], prefix string) {
	for _, k := range keys {
		fmt.Fprintf(out, "\n### `%s`\n\n%s\n\n", k.path, k.meaning)
		names := "`" + k.envName(prefix) + "`"
		if k.flag != "" {
			names += ", flag `--" + k.flag + "`"
		}
		fmt.Fprintf(out, "- %s; %s; default: %s", names, k.kind(k.field(new(T))), k.defaultText())
		if text := k.rangeOf(k.field(new(T))); text != "" {
			out.WriteString("; range: " + text)
		}
		if k.null != "" && k.fallback != "" {
			out.WriteString("; null: " + k.null)
		}
		out.WriteString("\n")
		if k.live {
			out.WriteString("- `resound reload` puts a change into force.\n")
		}
		if k.danger != "" {
			out.WriteString("- Danger: " + k.danger + "\n")
		}
	}
}

// kind names the type of a value, with the unit of a number.
func (s spec) kind(field any) string {
	switch field.(type) {
	case *int, *int64:
		if s.unit != "" {
			return s.unit
		}
		return "whole number"
	case **float64:
		return "number"
	case *bool:
		return "boolean"
	case *time.Duration:
		if s.whole {
			return "duration, whole seconds"
		}
		return "duration"
	case *[]string, *[]netip.Prefix:
		return "list"
	}
	return "text"
}

// defaultText says what holds when a key is absent.
func (s spec) defaultText() string {
	switch {
	case s.fallback != "":
		return "`" + s.fallback + "`"
	case s.required:
		return "none, required"
	case s.null != "":
		return "null, " + s.null
	}
	return "none"
}

// rangeOf returns the range of a number or duration.
func (s spec) rangeOf(field any) string {
	switch field.(type) {
	case *int, *int64:
		return s.rangeText(formatNumber)
	case *time.Duration:
		return s.rangeText(formatDuration)
	}
	return ""
}

// describeOthers writes the keys that are accepted and do nothing.
func describeOthers(out *strings.Builder) {
	out.WriteString("\n## Accepted without effect\n\n")
	out.WriteString("Reverb, Laravel and PHP know these keys; they mean nothing here and cause no warning.\n\n")
	writePaths(out, serverSection, unusedServerPaths)
	writePaths(out, appSection, unusedAppPaths)
}

// writePaths writes one list item with full paths.
func writePaths(out *strings.Builder, section string, paths []string) {
	full := make([]string, len(paths))
	for i, path := range paths {
		full[i] = "`" + section + path + "`"
	}
	out.WriteString("- " + strings.Join(full, ", ") + "\n")
}
