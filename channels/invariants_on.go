//go:build invariants

package channels

// invariants makes a Registry check itself after every change.
const invariants = true
