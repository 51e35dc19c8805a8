package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reservedDescriptors are left for everything that is not a connection.
const reservedDescriptors = 100

// RaiseDescriptors raises this process's limit of open descriptors as far as it
// goes and returns how many connections fit under it.
func RaiseDescriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read descriptor limit: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise descriptor limit to %d: %w", limit.Max, err)
	}
	if limit.Cur <= reservedDescriptors {
		return 0, fmt.Errorf("descriptor limit %d leaves none beside the %d reserved", limit.Cur, reservedDescriptors)
	}
	return int(min(limit.Cur, 1<<30)) - reservedDescriptors, nil
}
