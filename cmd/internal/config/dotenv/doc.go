// Package dotenv reads the .env file of a Laravel project with the meaning
// Laravel gives it.
//
// The grammar is that of vlucas/phpdotenv 5, which differs from the shell-like
// grammar of most readers where it matters for secrets: "$NAME" is plain text
// and only "${NAME}" is replaced, "#" ends an unquoted value even without a
// space before it, and a name that is defined nowhere stays as it was written.
//
// The package is pure: it reads no file, no process environment and no clock,
// keeps no state, and does not follow the conversions of Laravel's env()
// ("null", "(true)"), which belong to whoever uses the values.
//
// # Errors
//
// Errors name the line and the variable, never a value: a value may be a secret.
package dotenv
