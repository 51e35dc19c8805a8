// Package frame is RFC 6455 as bytes: the opening handshake, frame headers, the
// reading of messages from a stream cut anywhere, frames ready to send, and
// close codes.
//
// # Ownership
//
// A Reader belongs to the connection it reads for, and so to one reactor. Slices
// in a Request or an Event are views of the bytes the caller passed in: they are
// valid until the caller gives those bytes back, and payloads are unmasked in
// place, once.
//
// # Limits
//
// MaxHeadBytes and MaxHeaders bound a handshake; Reader.MaxMessageBytes bounds a
// message, and is checked as soon as a frame's header is there, before its body
// is waited for; of a compressed message it bounds what comes out.
//
// # Errors
//
// A handshake that fails returns a *Rejection, which is the HTTP answer. A
// stream that breaks the protocol returns a *CloseError, which is the close code
// and reason to send. Both are values from a fixed set; no peer's bytes are in
// them.
//
// The package does no I/O, reads no clock and starts no goroutine.
package frame
