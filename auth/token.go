package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// SplitAuth takes the auth field of a subscription or sign-in apart at its
// first colon. ok is false when there is none. The results are views of auth.
//
// Pusher: auth is "<app key>:<signature>".
// Departs: Reverb takes a field without a colon for a signature and does not
// look at the key; callers compare the key with the app's.
func SplitAuth(auth string) (key, signature string, ok bool) {
	return strings.Cut(auth, ":")
}

// SharedSecret returns the key that subscribers of an encrypted channel decrypt
// with, in base64. masterKey is the 32 bytes known to the application.
//
// Pusher: end-to-end encryption, shared_secret of the channel authorization.
func SharedSecret(channel string, masterKey []byte) string {
	h := sha256.New()
	h.Write([]byte(channel))
	h.Write(masterKey)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
