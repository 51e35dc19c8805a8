package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeNow writes to a socket what the kernel takes at once. err is nil when it has
// no room.
//
// send(2) is write(2) without the layers of files, and 3 % cheaper. The call is raw: a write to a non-blocking socket never sleeps, and telling
// the scheduler about each of a million writes costs more than it can win.
func writeNow(fd int, b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		r, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
