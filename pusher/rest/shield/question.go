package shield

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// Headers are those that the application sees of the browser's request. What is
// not among them can make no difference to its answer.
//
// Origin is for applications that take cookies from their own pages only.
var Headers = [...]string{"Cookie", "Authorization", "X-Xsrf-Token", "X-Csrf-Token", "Origin"}

// identifying is how many of Headers say who asks.
const identifying = 2

// Credentials are the values of Headers, in their order; empty for none.
type Credentials [len(Headers)]string

// Question is what a browser asks of the application.
type Question struct {
	SocketID    string // ASCII digits and a dot
	Channel     string // empty asks to sign the user in
	Credentials Credentials
}

// anonymous reports whether nothing says who asks.
func (q *Question) anonymous() bool {
	for _, c := range q.Credentials[:identifying] {
		if c != "" {
			return false
		}
	}
	return true
}

// key identifies equal questions.
//
//	HMAC-SHA256(secret, len channel, channel, len header, header, ...)
type key [sha256.Size]byte

func (s *Shield) keyOf(q *Question) (k key) {
	mac := hmac.New(sha256.New, s.secret[:])
	// Lengths keep one header's end from being taken for the next one's begin.
	write := func(text string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		mac.Write(length[:])
		_, _ = io.WriteString(mac, text)
	}
	write(q.Channel)
	for _, c := range q.Credentials {
		write(c)
	}
	mac.Sum(k[:0])
	return k
}
