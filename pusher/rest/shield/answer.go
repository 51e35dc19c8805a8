package shield

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"resound/channels"
)

// Grant is what the application lets the browser have, without its signature:
// the caller makes one for the socket_id that asks. Immutable.
type Grant struct {
	ChannelData  string // presence: who the member is, empty for who is signed in; may stand on private channels
	SharedSecret string // encrypted channels
	UserData     string // sign-in: who the user is
}

// size is what a grant costs to keep.
func (g *Grant) size() int { return len(g.ChannelData) + len(g.SharedSecret) + len(g.UserData) }

// readGrant takes a 200 of the application. The error says what it lacks, and
// repeats none of it.
//
// Pusher: "Authorizing users", {"auth":..,"channel_data":..,"shared_secret":..},
// and "Authenticating users", {"auth":..,"user_data":..}.
func readGrant(q *Question, appKey string, body []byte) (Grant, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return Grant{}, errors.New("the answer is not a JSON object")
	}
	auth, err := text(members, "auth")
	if err != nil {
		return Grant{}, err
	}
	if key, signature, ok := strings.Cut(auth, ":"); !ok || signature == "" {
		return Grant{}, errors.New("the answer has no auth of the form key:signature")
	} else if key != appKey {
		return Grant{}, errors.New("the answer is signed with the key of another app")
	}
	if q.Channel == "" {
		return readUser(members)
	}
	return readChannel(q.Channel, members)
}

func readChannel(channel string, members map[string]json.RawMessage) (g Grant, err error) {
	if g.ChannelData, err = text(members, "channel_data"); err != nil {
		return Grant{}, err
	}
	if g.SharedSecret, err = text(members, "shared_secret"); err != nil {
		return Grant{}, err
	}
	if channels.KindOf(channel).Is(channels.Presence) {
		if err := checkMember(channel, g.ChannelData); err != nil {
			return Grant{}, err
		}
	}
	return g, nil
}

// checkMember checks the channel_data of a presence channel.
//
// Pusher: without channel_data only a signed-in user may join, as itself; the
// subscription is where that is checked.
func checkMember(channel, channelData string) error {
	switch {
	case channelData == "" && strings.Contains(channel, ":"):
		// Attack: "presence-a:{..}" without channel_data has the signature of
		// "presence-a" with it.
		return errors.New("the answer has no channel_data, which a name with a colon needs")
	case channelData != "" && !identifies(channelData, "user_id", true):
		return errors.New("channel_data of the answer has no user_id")
	}
	return nil
}

func readUser(members map[string]json.RawMessage) (g Grant, err error) {
	if g.UserData, err = text(members, "user_data"); err != nil {
		return Grant{}, err
	}
	// Pusher: the id of user_data is a string that is not empty.
	if !identifies(g.UserData, "id", false) {
		return Grant{}, errors.New("the answer has no user_data with an id")
	}
	return g, nil
}

// text returns a member that is a string; null is as absent.
func text(members map[string]json.RawMessage, name string) (s string, err error) {
	value, ok := members[name]
	if !ok {
		return "", nil
	}
	if json.Unmarshal(value, &s) != nil {
		return "", fmt.Errorf("%s of the answer is not a string", name)
	}
	return s, nil
}

// identifies reports whether an object that came as text has a member that can
// name a user: a string that is not empty, or a number where those are allowed.
func identifies(object, name string, numbers bool) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(object), &members) != nil {
		return false
	}
	var id string
	if json.Unmarshal(members[name], &id) == nil {
		return id != ""
	}
	var number json.Number
	return numbers && json.Unmarshal(members[name], &number) == nil && number != ""
}
