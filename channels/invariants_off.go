//go:build !invariants

package channels

// invariants is off: the checks cost nothing.
const invariants = false
