// Package process starts the processes of a measurement, sees that none outlives
// it, and reads from /proc and the kernel's clocks what they consume.
//
// # Ownership
//
// A Children owns the processes it started: Close kills what is left of them, and
// the kernel kills them when this process dies without calling it. Readings are
// values.
//
// Linux only.
package process
