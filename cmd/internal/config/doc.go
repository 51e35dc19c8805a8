// Package config gathers the configuration of one node from flags, the process
// environment, a .env file and a configuration file, and validates all of it.
//
//	flags > process environment > .env > configuration file > defaults
//
// The names are those of Laravel Reverb where it has one, so that the .env of a
// Laravel project and the JSON dump of its config('reverb') array work as they
// are. One table (keys_server.go, keys_app.go) declares every key: it drives
// parsing, validation, warnings, origins and the generated docs/CONFIG.md.
//
// # Ownership
//
// The package keeps no state. Load reads its arguments and the named files and
// nothing else: never the environment of the process, never a clock. A Config is
// plain values that belong to the caller; nothing here watches files.
//
// # Errors
//
// Load reports all errors at once, each with the key, its origin, the value and
// the range. No error and no warning ever contains a secret.
package config
