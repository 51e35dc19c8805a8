package wire

import (
	"bytes"
	"fmt"
	"strconv"
)

// MaxBodyBytes is the longest response body accepted: the roster of 20,000 members.
const MaxBodyBytes = 1 << 20

// Response is one HTTP response. Valid as long as the bytes it was read from.
type Response struct {
	Status int
	Body   []byte
	Bytes  int  // head and body; 0 means the response is not complete yet
	Last   bool // the server closes the connection behind it
}

// NextResponse reads the first response of b. A Response with Bytes 0 and no
// error means that b ends inside it. Only bodies with a Content-Length are
// understood: it is what servers answer to a trigger.
func NextResponse(b []byte) (Response, error) {
	end := HeadBytes(b)
	if end == 0 {
		if len(b) > MaxHeadBytes {
			return Response{}, fmt.Errorf("response head exceeds limit %d", MaxHeadBytes)
		}
		return Response{}, nil
	}
	head := b[:end]
	if len(head) < len("HTTP/1.1 200") || !bytes.HasPrefix(head, []byte("HTTP/1.")) {
		return Response{}, fmt.Errorf("response starts with %q, want HTTP/1.x", head[:min(len(head), 16)])
	}
	status, err := strconv.Atoi(string(head[9:12]))
	if err != nil {
		return Response{}, fmt.Errorf("response has status %q", head[9:12])
	}
	field := HeaderValue(head, "Content-Length")
	length, err := strconv.Atoi(string(field))
	if err != nil || length < 0 || length > MaxBodyBytes {
		return Response{}, fmt.Errorf("response has Content-Length %q, want 0 to %d", field, MaxBodyBytes)
	}
	if len(b) < end+length {
		return Response{}, nil
	}
	return Response{
		Status: status,
		Body:   b[end : end+length],
		Bytes:  end + length,
		Last:   bytes.EqualFold(HeaderValue(head, "Connection"), []byte("close")),
	}, nil
}
