package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	signatureHeader = "X-Pusher-Signature"

	// idsHeader has an id for each event of the body, in its order, with commas
	// between. The body stays what Pusher's is.
	idsHeader = "X-Resound-Event-Ids"
)

// reserved are the headers an operator cannot set: our own, and those that HTTP
// clients and proxies act upon.
var reserved = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", idsHeader,
}

// requestHeader returns the header of each request of a hook except the
// signature, which depends on the body.
//
// Pusher: webhooks, "Authentication".
func requestHeader(custom map[string]string, key, userAgent string) (http.Header, error) {
	if len(custom) > MaxHeaders {
		return nil, fmt.Errorf("%d headers exceed the limit of %d", len(custom), MaxHeaders)
	}
	header := make(http.Header, len(custom)+4)
	size := 0
	for name, value := range custom {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !validHeaderName(name):
			return nil, fmt.Errorf("%q is not a header name", name)
		case strings.HasPrefix(canonical, "X-Pusher-") || strings.HasPrefix(canonical, "Proxy-") || slices.Contains(reserved, canonical):
			return nil, fmt.Errorf("%s is set by the server", canonical)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			// The value itself may be a credential and is not shown.
			return nil, fmt.Errorf("the value of %s has a control character", canonical)
		case header.Values(canonical) != nil:
			return nil, fmt.Errorf("%s is given twice", canonical)
		}
		header[canonical] = []string{value}
		size += len(name) + len(value)
	}
	if size > MaxHeaderBytes {
		return nil, fmt.Errorf("%d bytes exceed the limit of %d", size, MaxHeaderBytes)
	}
	header["Content-Type"] = []string{"application/json"}
	header["User-Agent"] = []string{userAgent}
	header["X-Pusher-Key"] = []string{key}
	return header, nil
}

// validHeaderName reports whether name is a token.
//
// RFC 9110 section 5.6.2: the characters of a token.
func validHeaderName(name string) bool {
	const punctuation = "!#$%&'*+-.^_`|~"
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(punctuation, r)
	})
}
