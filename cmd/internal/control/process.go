package control

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// endTimeout is how long a process may take to end after its last answer.
const endTimeout = 10 * time.Second

// process is the node's, as this one sees it. The zero value is one that cannot
// be seen, in another container for example.
type process struct{ pidfd int }

// process finds out who listens. The descriptor means this very process, even
// when its number is given to another one.
func (c *Client) process() process {
	conn, err := net.DialTimeout("unix", c.path, dialTimeout)
	if err != nil {
		return process{}
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return process{}
	}
	var p process
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || cred.Pid <= 0 {
			return
		}
		if pidfd, err := unix.PidfdOpen(int(cred.Pid), 0); err == nil {
			p.pidfd = pidfd
		}
	})
	return p
}

// wait returns when the process has ended.
func (p process) wait(ctx context.Context) error {
	if p.pidfd == 0 {
		return nil
	}
	const step = 20 * time.Millisecond
	for deadline := time.Now().Add(endTimeout); time.Now().Before(deadline); {
		if err := ctx.Err(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(step/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return errors.New("the server has drained and its process does not end")
}

func (p process) close() {
	if p.pidfd != 0 {
		_ = unix.Close(p.pidfd)
	}
}
