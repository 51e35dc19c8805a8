package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
)

// MaxHeadBytes is the longest HTTP head, of a request or a response, accepted.
const MaxHeadBytes = 16 << 10

// acceptGUID is the constant that turns a key into its accept value.
//
// RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

var headEnd = []byte("\r\n\r\n")

// AppendUpgrade appends the request that opens a WebSocket at target (a path with
// query) of host to dst. key is the value of Sec-WebSocket-Key.
//
// RFC 6455 section 4.1.
func AppendUpgrade(dst []byte, host, target, key string) []byte {
	return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", target, host, key)
}

// Accept returns the Sec-WebSocket-Accept value that belongs to key.
//
// RFC 6455 section 4.2.2.
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// HeadBytes returns the length of the HTTP head at the start of b, its empty line
// included, or 0 when b ends before it.
func HeadBytes(b []byte) int {
	if end := bytes.Index(b, headEnd); end >= 0 {
		return end + len(headEnd)
	}
	return 0
}

// HeaderValue returns the value of the named field in an HTTP head, without the
// spaces around it, or nil when there is none. The name is compared without case.
func HeaderValue(head []byte, name string) []byte {
	for line := range bytes.Lines(head) {
		field, value, found := bytes.Cut(line, []byte(":"))
		if found && bytes.EqualFold(field, []byte(name)) {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}

// CheckSwitching reports why head is not the answer that completes the handshake
// for which accept was computed; nil means that the WebSocket is open.
//
// RFC 6455 section 4.1, the client's checks of the server's response.
func CheckSwitching(head []byte, accept string) error {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		status, _, _ := bytes.Cut(head, []byte("\r\n"))
		return fmt.Errorf("upgrade answered %q", status)
	}
	if got := HeaderValue(head, "Sec-WebSocket-Accept"); string(got) != accept {
		return fmt.Errorf("upgrade answered accept %q, want %q", got, accept)
	}
	return nil
}
