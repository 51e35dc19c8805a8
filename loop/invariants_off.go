//go:build !invariants

package loop

// invariants is off: the checks cost nothing.
const invariants = false

func (*Reactor) own()         {}
func (*Reactor) assertOwned() {}
