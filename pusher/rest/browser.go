package rest

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"

	"resound/auth"
	"resound/channels"
	"resound/pusher/rest/shield"
)

// askChannel answers what the application's own channel authorization would,
// signed here for the socket_id that asks.
//
// Pusher: "Authorizing users"; pusher-js posts socket_id and channel_name.
func (r *request) askChannel() error {
	g, err := r.browser()
	if err != nil {
		return err
	}
	var m messages
	g.validateSocketID(&m)
	g.validateChannelName(&m)
	if err := m.refusal(); err != nil {
		return err
	}
	channel := plain(g.channel)
	if err := checkChannelName(channel, r.app.Options()); err != nil {
		return err
	}
	granted, err := r.ask(plain(g.socketID), channel)
	if err != nil {
		return err
	}
	r.appendAuth(r.app.Secret().AppendChannel(nil, plain(g.socketID), channel, granted.ChannelData))
	r.appendMember("channel_data", granted.ChannelData)
	if key := r.app.Options().EncryptionMasterKey; granted.SharedSecret == "" && len(key) > 0 && channels.KindOf(channel).Is(channels.Encrypted) {
		granted.SharedSecret = auth.SharedSecret(channel, key)
	}
	r.appendMember("shared_secret", granted.SharedSecret)
	r.out = append(r.out, '}')
	return nil
}

// askUser signs a connection in as whom the application says.
//
// Pusher: "Authenticating users"; pusher-js posts socket_id.
func (r *request) askUser() error {
	g, err := r.browser()
	if err != nil {
		return err
	}
	var m messages
	g.validateSocketID(&m)
	if err := m.refusal(); err != nil {
		return err
	}
	granted, err := r.ask(plain(g.socketID), "")
	if err != nil {
		return err
	}
	r.appendAuth(r.app.Secret().AppendUser(nil, plain(g.socketID), granted.UserData))
	r.appendMember("user_data", granted.UserData)
	r.out = append(r.out, '}')
	return nil
}

// browser finds the app of a browser's request, checks its origin, and reads
// what it asks. Nothing but socket_id and channel_name is believed: who the
// browser is, the application says.
func (r *request) browser() (g grant, err error) {
	if err := r.shieldedApp(); err != nil {
		return g, err
	}
	if err := r.allowOrigin(); err != nil {
		return g, err
	}
	r.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	kind := bytes.ToLower(r.ctx.Request.Header.ContentType())
	switch {
	case bytes.HasPrefix(kind, []byte("multipart/")):
		return g, refuse(fasthttp.StatusUnsupportedMediaType, "Unsupported media type. Send the fields as application/x-www-form-urlencoded or as JSON.")
	case bytes.Contains(kind, []byte("json")), bytes.HasPrefix(bytes.TrimSpace(r.body), []byte{'{'}):
		body, err := r.object()
		if err != nil {
			return g, err
		}
		g.read(body)
	default:
		if g, err = readForm(view(r.body)); err != nil {
			return g, err
		}
	}
	return g, nil
}

func readForm(body string) (g grant, err error) {
	var form auth.Query
	if err := form.Parse(body); err != nil {
		return g, badRequest("Bad request: %v.", err)
	}
	for _, field := range [...]struct {
		token *string
		name  string
	}{
		{&g.socketID, "socket_id"},
		{&g.channel, "channel_name"},
	} {
		if value, ok := form.Lookup(field.name); ok {
			if *field.token, err = tokenOf(field.name, value); err != nil {
				return g, err
			}
		}
	}
	return g, nil
}

// shieldedApp finds the app that a browser asks about: the one whose key stands
// in the path or the query, or the only one that has a shield. O(apps) without
// a key.
func (r *request) shieldedApp() error {
	if err := r.query.Parse(r.rawQuery); err != nil {
		return badRequest("Bad request: %v.", err)
	}
	key := r.args[0]
	if key == "" {
		key = r.query.Get("key")
	}
	node := r.server.options.Node
	if key != "" {
		r.app = node.AppByKey(key)
		if r.app == nil {
			return refuse(fasthttp.StatusNotFound, "No matching application for key [%s]. Check the key on both sides.", key)
		}
	} else {
		found := 0
		for app := range node.Apps {
			if app.Options().AuthShield.Upstream != "" {
				r.app = app
				found++
			}
		}
		if found > 1 {
			r.app = nil
			return badRequest("Bad request. %d applications have auth.upstream; add ?key= and the key of one.", found)
		}
	}
	switch {
	case r.app == nil || r.app.Options().AuthShield.Upstream == "":
		return refuse(fasthttp.StatusNotFound, "Not found. Set auth.upstream of the application to answer browsers here.")
	case r.app.Options().Disabled:
		return refuse(fasthttp.StatusForbidden, "Application [%s] is disabled.", r.app.ID)
	}
	return nil
}

// ask puts a browser's question to the application. An empty channel asks who
// the user is.
func (r *request) ask(socketID, channel string) (shield.Grant, error) {
	s := r.server
	if !s.shields.enter(s.options.MaxConnections) {
		return shield.Grant{}, r.away("too many requests wait for applications")
	}
	defer s.shields.leave()
	asks, err := s.shields.of(r.app, s.options.Node.Now)
	if err != nil {
		return shield.Grant{}, r.away(err.Error())
	}
	q := shield.Question{SocketID: socketID, Channel: channel}
	for i, name := range shield.Headers {
		q.Credentials[i] = view(r.ctx.Request.Header.Peek(name))
	}
	granted, err := asks.Ask(&q)
	if err == nil {
		return granted, nil
	}
	var no *shield.Refusal
	if errors.As(err, &no) {
		return granted, &refusal{
			status: no.Status, retryAfter: no.RetryAfter,
			text: "Refused: " + no.Error() + ".",
		}
	}
	return granted, r.away(err.Error())
}

// away answers a question that nobody could. The browser is not told why: the
// text would name the application's address.
func (r *request) away(why string) error {
	if s := r.server; s.shields.mayLog(s.options.Node.Now()) {
		s.options.Logger.Warn("browsers get no authorization", "app", r.app.ID, "upstream", r.app.Options().AuthShield.Upstream, "why", why)
	}
	return &refusal{
		status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
		text: "Service unavailable: the application gave no answer. Try again in 1 s.",
	}
}
