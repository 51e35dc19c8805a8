// Package layout holds the tests of the repository's own rules: which package
// may import which, where the third-party packages are used, what every package
// says of itself. It has no code.
package layout
