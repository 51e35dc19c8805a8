// Package doctor looks whether a host can hold the connections a node shall have,
// and says for each thing that is too little what to do.
//
//	Host (proc and sys, limits, clock) + Wanted (connections, port, reactors)
//	                      |
//	                   Examine: one check after the other
//	                      |
//	                   Report: ok, warning or fault, with what is, what is wanted, why, and the fix
//
// # Ownership
//
// Everything is a value. Examine reads the files of the Host it is given, which in
// tests are made up; it changes nothing, neither there nor on the network.
//
// # Errors
//
// A file that cannot be read is a warning of its own: the rest is still looked at.
package doctor
