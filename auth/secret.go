package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"log/slog"
	"sync"
)

const (
	// SignatureBytes is the length of a signature: SHA-256 in hex.
	SignatureBytes = 2 * sha256.Size

	// maxKeptBytes is the largest message buffer that goes back to the pool.
	maxKeptBytes = 64 << 10

	redacted = "[secret]"
)

// Secret signs for one app. Safe for concurrent use. Printing or logging it
// does not reveal it.
type Secret struct {
	states sync.Pool // of *state
}

// NewSecret returns the signer of an app's secret.
func NewSecret(secret string) *Secret {
	key := []byte(secret)
	s := &Secret{}
	s.states.New = func() any {
		mac := hmac.New(sha256.New, key)
		// The first Reset saves the two padded states; later ones restore them
		// instead of hashing the key again.
		mac.Reset()
		return &state{mac: mac}
	}
	return s
}

// String hides the secret.
func (*Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (*Secret) GoString() string { return redacted }

// LogValue hides the secret from structured logs.
func (*Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// AppendChannel appends the signature that lets the connection socketID
// subscribe to channel. channelData is the exact text sent along, and empty for
// none.
//
// Pusher: authentication signatures, "private channel" and "presence channel".
func (s *Secret) AppendChannel(dst []byte, socketID, channel, channelData string) []byte {
	st := s.take()
	defer s.put(st)
	st.channel(socketID, channel, channelData)
	return st.appendSignature(dst)
}

// VerifyChannel reports whether signature is the one AppendChannel makes.
//
// Reverb: channel_data is signed for every kind of channel when it is not empty.
func (s *Secret) VerifyChannel(signature, socketID, channel, channelData string) bool {
	st := s.take()
	defer s.put(st)
	st.channel(socketID, channel, channelData)
	return st.verify(signature)
}

// AppendUser appends the signature that signs the connection socketID in with
// userData, the exact JSON text sent along.
//
// Pusher: authentication signatures, "user authentication".
func (s *Secret) AppendUser(dst []byte, socketID, userData string) []byte {
	st := s.take()
	defer s.put(st)
	st.user(socketID, userData)
	return st.appendSignature(dst)
}

// VerifyUser reports whether signature is the one AppendUser makes.
func (s *Secret) VerifyUser(signature, socketID, userData string) bool {
	st := s.take()
	defer s.put(st)
	st.user(socketID, userData)
	return st.verify(signature)
}

// AppendRequest appends the signature of an HTTP API request whose canonical
// string was made by Query.AppendCanonical.
//
// Pusher: HTTP API, "Generating authentication signatures".
func (s *Secret) AppendRequest(dst, canonical []byte) []byte {
	st := s.take()
	defer s.put(st)
	st.sum(canonical)
	return st.appendSignature(dst)
}

// VerifyRequest reports whether signature is the one AppendRequest makes.
func (s *Secret) VerifyRequest(signature string, canonical []byte) bool {
	st := s.take()
	defer s.put(st)
	st.sum(canonical)
	return st.verify(signature)
}

// AppendWebhook appends the signature of a webhook whose raw body is body.
//
// Pusher: webhooks, "Authentication", X-Pusher-Signature.
func (s *Secret) AppendWebhook(dst, body []byte) []byte {
	st := s.take()
	defer s.put(st)
	st.sum(body)
	return st.appendSignature(dst)
}

func (s *Secret) take() *state { return s.states.Get().(*state) }

func (s *Secret) put(st *state) {
	if cap(st.message) > maxKeptBytes {
		st.message = nil
	}
	s.states.Put(st)
}

// state is a keyed HMAC with the buffers that would otherwise escape to the
// heap on each use. Owned by the call that took it from the pool.
type state struct {
	mac     hash.Hash
	message []byte
	digest  [sha256.Size]byte
	want    [SignatureBytes]byte
	given   [SignatureBytes]byte
}

func (st *state) channel(socketID, channel, channelData string) {
	m := append(st.message[:0], socketID...)
	m = append(m, ':')
	m = append(m, channel...)
	if channelData != "" {
		m = append(m, ':')
		m = append(m, channelData...)
	}
	st.message = m
	st.sum(m)
}

func (st *state) user(socketID, userData string) {
	m := append(st.message[:0], socketID...)
	m = append(m, "::user::"...)
	m = append(m, userData...)
	st.message = m
	st.sum(m)
}

// sum leaves the signature of message in want.
func (st *state) sum(message []byte) {
	st.mac.Reset()
	st.mac.Write(message)
	st.mac.Sum(st.digest[:0])
	hex.Encode(st.want[:], st.digest[:])
}

func (st *state) appendSignature(dst []byte) []byte {
	return append(dst, st.want[:]...)
}

func (st *state) verify(signature string) bool {
	if len(signature) != SignatureBytes {
		return false
	}
	copy(st.given[:], signature)
	return subtle.ConstantTimeCompare(st.given[:], st.want[:]) == 1
}
