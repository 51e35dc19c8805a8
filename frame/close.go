package frame

import (
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// CloseError says with which code and reason a connection must be closed.
// Immutable.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("close %d: %s", e.Code, e.Reason)
}

// Close codes of RFC 6455 section 7.4.1 that this server sends.
const (
	CloseNormal        = 1000
	CloseProtocolError = 1002
	CloseNoStatus      = 1005 // never on the wire: a close frame without a code
	CloseAbnormal      = 1006 // never on the wire: no close frame at all
	CloseInvalidUTF8   = 1007 // and other payloads that are not what they say
	CloseTooBig        = 1009
)

var (
	errUnmasked     = &CloseError{CloseProtocolError, "frames from a client must be masked"}
	errReservedBits = &CloseError{CloseProtocolError, "reserved bits must be zero"}
	errOpcode       = &CloseError{CloseProtocolError, "reserved opcode"}
	errControlSize  = &CloseError{CloseProtocolError, "control frames carry at most 125 bytes"}
	errControlCut   = &CloseError{CloseProtocolError, "control frames must not be fragmented"}
	errContinuation = &CloseError{CloseProtocolError, "continuation without a message"}
	errInterleaved  = &CloseError{CloseProtocolError, "new message inside a fragmented one"}
	errLength       = &CloseError{CloseProtocolError, "length not in its shortest form"}
	errHeader       = &CloseError{CloseProtocolError, "malformed frame header"}
	errCloseBody    = &CloseError{CloseProtocolError, "malformed close frame"}
	errCloseUTF8    = &CloseError{CloseInvalidUTF8, "close reason is not valid UTF-8"}
	errTextUTF8     = &CloseError{CloseInvalidUTF8, "text is not valid UTF-8"}

	errDeflated = &CloseError{CloseInvalidUTF8, "compressed data is broken"}

	// Reverb: Ratchet closes with this reason.
	errTooBig = &CloseError{CloseTooBig, "Maximum message size exceeded"}
)

// maxReasonBytes is what is left of a control frame after the code.
//
// RFC 6455 section 5.5: control frames carry at most 125 bytes.
const maxReasonBytes = 123

// parseClose reads the body of a close frame. An empty body is CloseNoStatus.
//
// RFC 6455 section 5.5.1 and 7.4.
func parseClose(body []byte) (code int, reason []byte, err *CloseError) {
	if len(body) == 0 {
		return CloseNoStatus, nil, nil
	}
	if len(body) == 1 {
		return 0, nil, errCloseBody
	}
	status := ws.StatusCode(int(body[0])<<8 | int(body[1]))
	if !utf8.Valid(body[2:]) {
		return 0, nil, errCloseUTF8
	}
	if err := ws.CheckCloseFrameData(status, ""); err != nil || status > 4999 {
		return 0, nil, errCloseBody
	}
	return int(status), body[2:], nil
}
