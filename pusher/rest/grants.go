package rest

import (
	"strings"

	"github.com/tidwall/gjson"

	"resound/auth"
	"resound/channels"
	"resound/pusher"
)

// grant is what a back end asks to have signed: tokens, empty for what is absent.
type grant struct {
	socketID, channel, channelData, userID, userInfo, userData string
}

func (g *grant) read(object string) {
	for members := valuesOf(object); ; {
		key, value, ok := members.next()
		if !ok {
			return
		}
		switch plain(key) {
		case "socket_id":
			g.socketID = value
		case "channel_name":
			g.channel = value
		case "channel_data":
			g.channelData = value
		case "user_id":
			g.userID = value
		case "user_info":
			g.userInfo = value
		case "user_data":
			g.userData = value
		}
	}
}

// grantChannel answers what an application's own /broadcasting/auth would.
//
// Pusher: "Authorizing users", {"auth":..,"channel_data":..,"shared_secret":..}.
func (r *request) grantChannel() error {
	body, err := r.object()
	if err != nil {
		return err
	}
	var g grant
	g.read(body)
	if err := g.validateChannel(); err != nil {
		return err
	}
	channel := plain(g.channel)
	if err := checkChannelName(channel, r.app.Options()); err != nil {
		return err
	}
	data := g.channelText(channel)
	r.appendAuth(r.app.Secret().AppendChannel(nil, plain(g.socketID), channel, data))
	if data != "" {
		r.appendMember("channel_data", data)
	}
	if key := r.app.Options().EncryptionMasterKey; len(key) > 0 && channels.KindOf(channel).Is(channels.Encrypted) {
		r.appendMember("shared_secret", auth.SharedSecret(channel, key))
	}
	r.out = append(r.out, '}')
	return nil
}

// grantUser signs a connection in, as an application's own user authentication
// endpoint would.
//
// Pusher: "Authenticating users", {"auth":..,"user_data":..}.
func (r *request) grantUser() error {
	body, err := r.object()
	if err != nil {
		return err
	}
	var g grant
	g.read(body)
	if err := g.validateUser(); err != nil {
		return err
	}
	data := text(g.userData)
	r.appendAuth(r.app.Secret().AppendUser(nil, plain(g.socketID), data))
	r.appendMember("user_data", data)
	r.out = append(r.out, '}')
	return nil
}

func (r *request) appendAuth(signature []byte) {
	r.out = append(r.out, `{"auth":`...)
	r.out = gjson.AppendJSONString(r.out, r.app.Key()+":"+view(signature))
}

func (g *grant) validateChannel() error {
	var m messages
	g.validateSocketID(&m)
	switch kind := g.validateChannelName(&m); {
	case kind.Is(channels.Presence):
		g.validateMember(&m)
	case kind.Is(channels.Private) && filled(g.channelData):
		m.allowString("channel_data", g.channelData)
	}
	return m.refusal()
}

// validateChannelName demands a channel that subscriptions are signed for, and
// returns its kind.
func (g *grant) validateChannelName(m *messages) (kind channels.Kind) {
	m.requireString("channel_name", g.channel)
	if !isString(g.channel) || !filled(g.channel) {
		return 0
	}
	name := plain(g.channel)
	if kind = channels.KindOf(name); !kind.Is(channels.Private) {
		m.add("channel_name", "must begin with private- or presence-.")
	} else if strings.IndexByte(name, ':') >= 0 {
		// A colon separates what is signed: the signature of "presence-a:DATA" is
		// that of presence-a with DATA for channel_data.
		m.add("channel_name", "must not contain a colon.")
	}
	return kind
}

// validateMember checks the identity on a presence channel, which comes as the
// text to sign or in parts.
func (g *grant) validateMember(m *messages) {
	if filled(g.channelData) {
		if !isString(g.channelData) || !identifies(member(plain(g.channelData), "user_id")) {
			m.add("channel_data", "must be a JSON string of an object with a user_id.")
		}
		return
	}
	switch {
	case !filled(g.userID):
		m.add("user_id", "is required when channel_data is not present.")
	case !identifies(g.userID):
		m.add("user_id", "must be a string or a number.")
	}
}

// validateUser demands an id that clients accept.
//
// Pusher: the id of user_data is a string that is not empty.
func (g *grant) validateUser() error {
	var m messages
	g.validateSocketID(&m)
	switch {
	case !filled(g.userData):
		m.add("user_data", "is required.")
	case !isString(g.userData) && !isObject(g.userData):
		m.add("user_data", "must be an object or a JSON string of one.")
	default:
		if id := member(text(g.userData), "id"); !isString(id) || !filled(id) {
			m.add("user_data", "must have an id that is a string and not empty.")
		}
	}
	return m.refusal()
}

func (g *grant) validateSocketID(m *messages) {
	m.requireString("socket_id", g.socketID)
	if isString(g.socketID) && filled(g.socketID) && !isSocketID(plain(g.socketID)) {
		m.add("socket_id", "format is invalid.")
	}
}

// channelText returns the channel data to sign, empty for none.
func (g *grant) channelText(channel string) string {
	if filled(g.channelData) {
		return plain(g.channelData)
	}
	if !channels.KindOf(channel).Is(channels.Presence) {
		return ""
	}
	if g.userInfo == "" {
		return `{"user_id":` + g.userID + `}`
	}
	return `{"user_id":` + g.userID + `,"user_info":` + g.userInfo + `}`
}

// text returns what a string token says, and any other token as it is.
func text(token string) string {
	if isString(token) {
		return plain(token)
	}
	return token
}

// member returns the token of a member of an object that came as text, empty
// when it is not one.
func member(object, name string) (value string) {
	object = strings.TrimSpace(object)
	if !isObject(object) || !pusher.ValidJSON(object) {
		return ""
	}
	for members := valuesOf(object); ; {
		key, token, ok := members.next()
		if !ok {
			return value
		}
		if plain(key) == name {
			value = token
		}
	}
}

// identifies reports whether a token can name a user.
func identifies(token string) bool {
	return isNumber(token) || isString(token) && plain(token) != ""
}

// isSocketID reports whether id looks like one of any node.
//
// Pusher: socket ids match \A\d+\.\d+\z.
func isSocketID(id string) bool {
	nonce, slot, found := strings.Cut(id, ".")
	return found && isDigits(nonce) && isDigits(slot)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
