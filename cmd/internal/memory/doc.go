// Package memory tells Go's runtime how much memory it may use: from the control
// group of the process, or else from the host, unless the environment says it.
//
// It owns no state; Apply sets that of the process. It reads files through the
// fs.FS it is given and never writes any.
package memory
