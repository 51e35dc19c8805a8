package pusher

import (
	"strconv"
	"strings"
)

// Protocol versions that are spoken.
const (
	minVersion = 4
	maxVersion = 7
)

// checkVersion reads the protocol parameter of a handshake's query. A missing one
// counts as the newest.
//
// Pusher: codes 4006 and 4007. Departs: Reverb ignores the parameter; Pusher
// answers a missing one with 4008, which would shut out old clients.
func checkVersion(query string) *Error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		text, ok := strings.CutPrefix(pair, "protocol=")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return ErrVersionText
		case n < minVersion || n > maxVersion:
			return ErrVersion
		}
		return nil
	}
	return nil
}
