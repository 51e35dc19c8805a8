package config

// unusedServerPaths are keys that Reverb or PHP knows and that mean nothing
// here. They are accepted without a word, with everything below them.
var unusedServerPaths = []string{
	"pulse_ingest_interval", "telescope_ingest_interval",
	"options.tls.SNI_enabled", "options.tls.allow_self_signed", "options.tls.cafile", "options.tls.capath",
	"options.tls.capture_peer_cert", "options.tls.capture_peer_cert_chain", "options.tls.ciphers",
	"options.tls.crypto_method", "options.tls.disable_compression", "options.tls.peer_fingerprint",
	"options.tls.peer_name", "options.tls.security_level", "options.tls.verify_depth",
	"options.tls.verify_peer", "options.tls.verify_peer_name",
}

// unusedAppPaths is the same for an app: `options` is for clients of the API.
var unusedAppPaths = []string{"options", "capacity"}

// unusedEnvNames is the same for the environment: what Laravel, clients and
// other commands read.
var unusedEnvNames = []string{
	"REVERB_PORT", "REVERB_SCHEME", "REVERB_PULSE_INGEST_INTERVAL", "REVERB_TELESCOPE_INGEST_INTERVAL",
}

// misplacedRootPaths are keys of the server that are looked for at the top of the
// file, where they mean nothing.
var misplacedRootPaths = []string{"monitoring", "metrics_compat"}

// belongsToServer is the text of the warning about such a key.
const belongsToServer = "belongs below servers.reverb and is ignored here"

// credentials are the keys of an app that make its identity, in the order in
// which they are asked for.
var credentials = []string{"app_id", "key", "secret"}

// credentialNames are the environment names of the credentials, in the order
// in which they are looked for: the first set with a value is used whole.
var credentialNames = []map[string]string{
	{"app_id": "REVERB_APP_ID", "key": "REVERB_APP_KEY", "secret": "REVERB_APP_SECRET"},
	{"app_id": "PUSHER_APP_ID", "key": "PUSHER_APP_KEY", "secret": "PUSHER_APP_SECRET"},
	{"app_id": "SOKETI_DEFAULT_APP_ID", "key": "SOKETI_DEFAULT_APP_KEY", "secret": "SOKETI_DEFAULT_APP_SECRET"},
}
