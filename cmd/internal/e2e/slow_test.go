package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// TestSlowClientsGiveBackTheirDescriptors stalls many clients in each stage before
// the first message: the node ends them all, and serves meanwhile.
func TestSlowClientsGiveBackTheirDescriptors(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{env: map[string]string{"RESOUND_HANDSHAKE_TIMEOUT": "1"}})
	s.serves(t)
	descriptors := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := descriptors()
	const clients = 30
	type stalled struct {
		stage string
		conn  net.Conn
	}
	var all []stalled
	for stage, begin := range map[string]string{
		"nothing":                        "",
		"half a request line":            "GE",
		"the request line of WebSocket":  getApp,
		"half the headers of WebSocket":  getApp + "\r\n" + host + "\r\n",
		"half the headers of HTTP":       "POST /apps/1/events HTTP/1.1\r\nHost: a\r\nX: ",
		"half a body":                    "POST /apps/1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\nhalf",
		"half a chunk":                   "POST /apps/1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nhalf",
		"a response that nobody fetches": strings.Repeat("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 50) + "GET /",
	} {
		for range clients {
			conn := s.connect(t)
			if _, err := io.WriteString(conn, begin); err != nil {
				t.Fatal(err)
			}
			all = append(all, stalled{stage, conn})
		}
	}
	s.serves(t)
	for _, c := range all {
		if _, err := io.Copy(io.Discard, c.conn); isTimeout(err) {
			t.Errorf("%s: the connection is still open after %v", c.stage, patience)
		}
	}
	eventually(t, "the node has the descriptors it had", func() bool { return descriptors() <= before })
	s.serves(t)
}

// isTimeout reports whether a deadline of the test ended reading.
func isTimeout(err error) bool {
	n, ok := err.(net.Error) //nolint:errorlint // as net returns it
	return ok && n.Timeout()
}
