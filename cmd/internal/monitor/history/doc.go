// Package history keeps the figures of a node in a file: every ten seconds for a
// day, every minute for a month.
//
//	Add -> queue -> writer -> bbolt file
//	                            ^  Each, from any goroutine
//
// # Ownership
//
// One goroutine, the writer, owns the file and is the only one that writes to it.
// A Store is safe for concurrent use. Add never waits; the hot path of the node
// does not come near this package.
//
// # Errors
//
// Trouble with the file costs points, which are counted, and stops nothing: a full
// disk and a file in use are tried again with each point, a broken file is moved
// aside and a new one is begun. State tells.
//
// # Limits
//
// MaxSeries a point, MaxNameBytes a name, Options.MaxBytes for the file.
package history
