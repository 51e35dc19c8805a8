// Package edge knows who is at the other end of a connection, and how much one
// address may take: which proxies are believed, what they say in PROXY headers
// and X-Forwarded-For, and how many connections an address has.
//
// It does no I/O and reads no clock; the reactors ask it.
//
// # Ownership
//
// Trusted and Header are values; a Trusted is immutable. A Table belongs to the
// node and is safe for concurrent use.
//
// # Limits
//
// A PROXY header has at most MaxHeaderBytes. A Table holds an entry for each
// address with a connection, and remembers maxBegun addresses of a second.
package edge
