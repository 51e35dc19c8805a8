// Package shield asks an application whether a browser may have what it wants,
// and keeps a storm of such questions from the application.
//
//	Ask -- a grant is kept? -------------------> grant
//	    -- the same question in flight? -- wait -> its answer
//	    -- else: wait for a turn, ask upstream, check the answer
//
// Questions are the same when their channel and every header that the
// application sees are: only then can one answer stand for both. The socket_id
// does not count, since the caller signs for its own. A question without
// credentials is never the same as another, because an application may give
// each guest an identity of its own.
//
// # Ownership
//
// A Shield serves one app and is safe for concurrent use. It starts no
// goroutine: a question is asked by the goroutine that came first. Strings of a
// Question are not retained, except in what is sent while Ask runs.
//
// # Limits
//
// Options.MaxInFlight questions at a time, Options.Timeout for each; answers of
// maxAnswerBytes; maxGrants and maxGrantBytes of what is kept.
//
// # Errors
//
// A *Refusal is the application's no. Everything else is an *Unavailable: what
// the application did not clearly grant is not granted.
//
// The package never signs, never follows a redirect, never keeps a refusal, and
// keeps credentials only inside a keyed hash whose key dies with the Shield.
package shield
