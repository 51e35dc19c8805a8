package rest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/valyala/fasthttp"

	"resound/auth"
	"resound/pusher"
)

// maxTimestampSkew is how far auth_timestamp may lie in the past or the future,
// in seconds. It is all that bounds the replay of a request.
//
// Pusher: HTTP API, "auth_timestamp must be within 600 s of the current time".
const maxTimestampSkew = 600

// authenticate finds the app of a request and checks that it signed it.
//
// Reverb: the app is looked up before the signature is checked.
func (r *request) authenticate() error {
	id := r.args[0]
	app := r.server.options.Node.AppByID(id)
	if app == nil {
		return refuse(fasthttp.StatusNotFound, "No matching application for ID [%s]. Check the app id on both sides.", id)
	}
	if app.Options().Disabled {
		return refuse(fasthttp.StatusForbidden, "Application [%s] is disabled.", app.ID)
	}
	if err := r.query.Parse(r.rawQuery); err != nil {
		return badRequest("Bad request: %v.", err)
	}
	if why := r.checkSignature(app); why != "" {
		return r.unauthorized(app, why)
	}
	r.app = app
	if r.server.options.Node.Draining() {
		r.ctx.SetConnectionClose() // whoever keeps connections open goes on elsewhere, before this one breaks
	}
	return nil
}

func (r *request) unauthorized(app *pusher.App, why string) error {
	r.server.counters.signatureFailures.Add(1)
	if log := r.server.options.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("signature refused", "app", app.ID, "method", string(r.ctx.Method()), "path", string(r.ctx.Path()), "why", why)
	}
	return refuse(fasthttp.StatusUnauthorized, "Authentication signature invalid. %s", why)
}

// checkSignature returns what is wrong, in words for the operator: nothing in
// them is unknown to who sent the request.
//
// Departs: Reverb checks neither auth_key, auth_version nor auth_timestamp, and
// ignores the body_md5 of the query.
func (r *request) checkSignature(app *pusher.App) (why string) {
	q := &r.query
	if key, ok := q.Lookup(auth.ParamKey); !ok {
		return "auth_key is missing; every call is signed as the Pusher HTTP API has it."
	} else if key != app.Key() {
		return "auth_key is not the key of this application."
	}
	if version, ok := q.Lookup(auth.ParamVersion); ok && version != "1.0" {
		return "auth_version must be 1.0."
	}
	if !r.server.options.SkipTimestampCheck {
		if why := r.checkTimestamp(); why != "" {
			return why
		}
	}
	var digest [2 * md5.Size]byte
	bodyMD5 := ""
	given, isGiven := q.Lookup(auth.ParamBodyMD5)
	if isGiven || len(r.body) > 0 {
		sum := md5.Sum(r.body)
		hex.Encode(digest[:], sum[:])
		bodyMD5 = string(digest[:])
	}
	if isGiven && given != bodyMD5 {
		return fmt.Sprintf("body_md5 is not the lower-case hex MD5 of the %d bytes of body that arrived.", len(r.body))
	}
	signature, ok := q.Lookup(auth.ParamSignature)
	if !ok {
		return "auth_signature is missing."
	}
	if !r.verify(app, signature, bodyMD5) {
		return "auth_signature does not match; check the secret, and that no proxy changes the method, the path or the query."
	}
	return ""
}

func (r *request) checkTimestamp() (why string) {
	text, ok := r.query.Lookup(auth.ParamTimestamp)
	if !ok {
		return "auth_timestamp is missing."
	}
	at, err := strconv.ParseInt(text, 10, 48)
	if err != nil {
		return "auth_timestamp must be a whole number of seconds since 1970."
	}
	now := r.server.options.Node.Now().Unix()
	switch {
	case at < now-maxTimestampSkew:
		return fmt.Sprintf("auth_timestamp is %d s old; allowed are %d s. Check the clocks of both hosts.", now-at, maxTimestampSkew)
	case at > now+maxTimestampSkew:
		return fmt.Sprintf("auth_timestamp is %d s ahead; allowed are %d s. Check the clocks of both hosts.", at-now, maxTimestampSkew)
	}
	return ""
}

// verify tries the paths that client libraries sign: without the prefix the
// server is mounted under and with it, as sent and before it was escaped.
//
// Reverb: the prefix is stripped before the path is verified.
func (r *request) verify(app *pusher.App, signature, bodyMD5 string) bool {
	if r.verifyPath(app, signature, r.unprefixed, bodyMD5) {
		return true // Fast path.
	}
	if plain := unescaped(r.unprefixed); plain != r.unprefixed && r.verifyPath(app, signature, plain, bodyMD5) {
		return true
	}
	if r.path == r.unprefixed {
		return false
	}
	if r.verifyPath(app, signature, r.path, bodyMD5) {
		return true
	}
	plain := unescaped(r.path)
	return plain != r.path && r.verifyPath(app, signature, plain, bodyMD5)
}

func (r *request) verifyPath(app *pusher.App, signature, path, bodyMD5 string) bool {
	r.canonical = r.query.AppendCanonical(r.canonical[:0], r.method, path, bodyMD5)
	return app.Secret().VerifyRequest(signature, r.canonical)
}
