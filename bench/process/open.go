package process

import (
	"fmt"
	"os"
)

// Descriptors returns how many descriptors pids have open, summed. It takes time in
// proportion to their number.
func Descriptors(pids []int) (int, error) { return countEntries(pids, "fd") }

// Threads returns how many threads pids have, summed.
func Threads(pids []int) (int, error) { return countEntries(pids, "task") }

func countEntries(pids []int, folder string) (int, error) {
	sum := 0
	for _, pid := range pids {
		d, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, folder))
		if err != nil {
			return 0, err
		}
		names, err := d.Readdirnames(-1)
		_ = d.Close()
		if err != nil {
			return 0, fmt.Errorf("read %s of process %d: %w", folder, pid, err)
		}
		sum += len(names)
	}
	return sum, nil
}
