// Package auth makes and checks the signatures of the Pusher protocol:
// HMAC-SHA256 in lower-case hex, keyed with an app's secret.
//
//	channel  socket_id:channel[:channel_data]
//	user     socket_id::user::user_data
//	request  METHOD \n path \n sorted query, see Query.AppendCanonical
//	webhook  the raw body
//
// # Ownership
//
// A Secret is safe for concurrent use: it pools keyed HMAC states, so that
// neither signing nor verifying allocates once the pool is warm. A Query is
// owned by one request. No argument is retained.
//
// # Limits
//
// A query has at most MaxQueryParams parameters.
//
// # Errors
//
// Verifying answers yes or no and compares in constant time; a signature that
// is malformed in any way is a no. Only lower-case hex of the exact length is a
// signature, so that each string has one signature and no second spelling.
//
// The package does no I/O and reads no clock; whether a timestamp is recent is
// the caller's question.
package auth
