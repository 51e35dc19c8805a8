package config_test

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	server := func(text string) string { return "servers: {reverb: {" + text + "}}" }
	app := func(text string) string { return "apps: {apps: [{" + text + "}]}" }
	tests := []struct {
		name string
		file string
		env  string
		want string // empty: no warning
	}{
		{"a typing error in a key", server("max_outbund_bytes: 1"), "", `servers.reverb.max_outbund_bytes: unknown key, did you mean "max_outbound_bytes"?`},
		{"swapped letters", server("prot: 1"), "", `servers.reverb.prot: unknown key, did you mean "port"?`},
		{"a typing error in an app", app("ping_intervall: 1"), "", `apps.apps[0].ping_intervall: unknown key, did you mean "ping_interval"?`},
		{"a typing error in a section", "serverss: {}", "", `serverss: unknown key, did you mean "servers"?`},
		{"a key that is like no other", server("zzz: 1"), "", "servers.reverb.zzz: unknown key"},
		{"a typing error in our environment", "", "RESOUND_DRAIN_TIMEOT=1", `RESOUND_DRAIN_TIMEOT: unknown name, did you mean "RESOUND_DRAIN_TIMEOUT"?`},
		{"an unknown name of ours", "", "RESOUND_ZZZ=1", "RESOUND_ZZZ: unknown name"},
		{"a typing error in Reverb's environment", "", "REVERB_SERVER_PROT=1", `REVERB_SERVER_PROT: unknown name, did you mean "REVERB_SERVER_PORT"?`},
		{"an application's own name", "", "REVERB_BACKEND_ADDRESS=1", ""},
		{"Reverb's keys without meaning here", server("pulse_ingest_interval: 15, options: {tls: {verify_peer: false}}"), "", ""},
		{"keys of clients", app("options: {host: x, useTLS: true}, capacity: 5"), "", ""},
		{"PHP's empty array for a section", server("options: {tls: []}, scaling: []"), "", ""},
		{"webhooks", app("webhooks: [{url: 'http://localhost', event_types: [cache_miss], filter: {channel_name_starts_with: a-}, headers: {X-A: b}}]"), "", ""},
		{"an unknown key of a webhook", app("webhooks: [{url: 'http://localhost', event_type: [cache_miss]}]"), "", `apps.apps[0].webhooks[0].event_type: unknown key, did you mean "event_types"?`},
		{"whoever connects speaks for anybody, and limits go by what they say", server("trusted_proxies: '*', max_connections_per_address: 10"), "", "trusted_proxies: trusts everybody"},
		{"a Redis port that matters to nobody", "", "REDIS_PORT=-1", "scaling is off, so this is not used"},
		{"an alert of what is never measured", server("monitoring: {alerts: {a: {metric: conections, threshold: 1}}}"), "", `alerts.a.metric: "conections" is no series of the history, did you mean "connections"?: the alert never begins`},
		{"an alert of an app that is not there", server("monitoring: {alerts: {a: {metric: 999/connections, threshold: 1}}}"), "", `there is no app "999": the alert never begins`},
		{"an alert of a series that apps do not have", server("monitoring: {alerts: {a: {metric: other apps/cpu_percent, threshold: 1}}}"), "", `"other apps/cpu_percent" is no series`},
		{"alerts of what there is", server("monitoring: {alerts: {a: {metric: lag_seconds, threshold: 1}, b: {metric: other apps/messages_sent, threshold: 1}, c: {metric: 1/custom/orders, threshold: 1}}}"), "", ""},
		{"an empty list of origins", app("allowed_origins: []"), "", "apps.apps[0].allowed_origins: is empty: every browser is refused"},
		{"an origin with a scheme", app("allowed_origins: ['https://a.test']"), "", `"https://a.test" never matches`},
		{"messages larger than what may wait", app("max_message_size: 100000"), "", "apps.apps[0].max_message_size: 100000 is more than max_outbound_bytes 65536"},
		{"events larger than requests", app("max_event_bytes: 20000"), "", "max_event_bytes: 20000 is more than max_request_size 10000"},
		{"an app larger than its node", server("max_connections: 100") + "\n" + app("max_connections: 200"), "", "apps.apps[0].max_connections: 200 is more than max_connections of the node 100"},
		{"members larger than messages", app("max_message_size: 1000"), "", "max_presence_member_bytes: 2048 is more than max_message_size 1000"},
		{"requests larger than what may wait", server("max_request_size: 100000"), "", "65536 is less than max_request_size 100000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := setup{file: tt.file, environ: append([]string{tt.env}, oneApp...)}.load(t)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(warnings) == 0 {
				return
			}
			if tt.want == "" || len(warnings) != 1 || !strings.Contains(warnings[0].String(), tt.want) {
				t.Errorf("warnings %v, want %q", warnings, tt.want)
			}
		})
	}
}

// A wrong value of every kind, with a secret in all places a secret can be in.
func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "T0pSecret"
	tests := []struct {
		name  string
		setup setup
	}{
		{"a master key", setup{environ: []string{"RESOUND_APP_ENCRYPTION_MASTER_KEY=" + secret}}},
		{"a passphrase", setup{environ: []string{"RESOUND_OPTIONS_TLS_PASSPHRASE=" + secret, "REVERB_SERVER_PORT=x"}}},
		{"a secret without an id", setup{environ: []string{"REVERB_APP_SECRET=" + secret}}},
		{"a secret without an id in the file", setup{file: "apps: {apps: [{secret: " + secret + "}]}"}},
		{"a secret as a list", setup{file: "apps: {apps: [{app_id: a, key: b, secret: [" + secret + "]}]}"}},
		{"two apps with one secret and one key", setup{file: "apps: {apps: [{app_id: a, key: b, secret: " + secret + "}, {app_id: a, key: b, secret: " + secret + "}]}"}},
		{"Redis", setup{environ: []string{"REDIS_URL=http://:" + secret + "@localhost", "REDIS_PASSWORD=" + secret, "REVERB_SCALING_ENABLED=1"}}},
		{"a bad line of .env", setup{envFile: "REVERB_APP_SECRET=" + secret + " " + secret}},
		{"a missing quote in .env", setup{envFile: "REVERB_APP_SECRET=\"" + secret}},
		{"no name in .env", setup{envFile: "a b=" + secret}},
		{"YAML without an end", setup{file: "apps:\n  apps: [{secret: " + secret}},
		{"YAML without a closing quote", setup{file: "secret: \"" + secret + "\nx: 1"}},
		{"YAML with a second colon", setup{file: "secret: " + secret + ": x"}},
		{"YAML with a reserved character", setup{file: "secret: @" + secret}},
		{"YAML with a secret like an alias", setup{file: "secret: *" + secret}},
		{"YAML with a secret like a tag", setup{file: "secret: !" + secret + " [}"}},
		{"YAML with a secret in a list", setup{file: "- " + secret}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := tt.setup.load(t)
			if err == nil {
				t.Fatal("no error, so the row tests nothing")
			}
			text := err.Error()
			for _, w := range warnings {
				text += w.String()
			}
			if strings.Contains(text, secret) {
				t.Errorf("the secret is in: %s", text)
			}
		})
	}
}
