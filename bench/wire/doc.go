// Package wire encodes and decodes the bytes a load generator exchanges with a
// Pusher-protocol server: WebSocket upgrade and frames, the few Pusher events it
// needs, signed HTTP requests, and the stamp inside each event's data by which
// lost, duplicated and reordered deliveries are found.
//
// It shares no code with the server, so a mistake of the server's encoders cannot
// hide behind the same mistake here. It does no I/O and reads no clock.
//
// # Ownership
//
// Everything is a value. Slices passed in are never kept, and slices handed out
// are views of the input, valid as long as it is.
package wire
