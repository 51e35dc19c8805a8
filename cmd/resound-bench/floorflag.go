package main

import (
	"fmt"

	"resound/bench"
)

// floorAuto is the floor without a choice of its kind.
const floorAuto = "auto"

// floorValue is the flag --floor[=KIND].
type floorValue struct{ settings *bench.Settings }

// Set implements pflag.Value.
func (v *floorValue) Set(s string) error {
	switch s {
	case floorAuto, "true": // as a plain switch may be written
		v.settings.Floor, v.settings.FloorKind = true, ""
	case "false":
		v.settings.Floor, v.settings.FloorKind = false, ""
	case bench.FloorC, bench.FloorGo:
		v.settings.Floor, v.settings.FloorKind = true, s
	default:
		return fmt.Errorf("%q is none of %s, %s and %s", s, floorAuto, bench.FloorC, bench.FloorGo)
	}
	return nil
}

// String implements pflag.Value.
func (v *floorValue) String() string {
	switch {
	case v.settings == nil || !v.settings.Floor:
		return ""
	case v.settings.FloorKind == "":
		return floorAuto
	}
	return v.settings.FloorKind
}

// Type implements pflag.Value.
func (v *floorValue) Type() string { return "kind" }
