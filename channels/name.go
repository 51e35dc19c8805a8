package channels

import "strings"

// Kind says what a channel's name prefix demands. Kinds combine.
type Kind uint8

const (
	Private   Kind = 1 << iota // a signature is needed to subscribe
	Presence                   // the roster is shared among members; implies Private
	Cache                      // the last event is kept for new subscribers
	Encrypted                  // payloads are opaque to the server; implies Private

	Public Kind = 0
)

// Is reports whether k has every property of want.
func (k Kind) Is(want Kind) bool { return k&want == want }

// ServerToUserPrefix begins the names that deliver to a signed-in user.
const ServerToUserPrefix = "#server-to-user-"

// prefixes is ordered longest first within a family: the first match decides.
var prefixes = []struct {
	prefix string
	kind   Kind
}{
	{"private-encrypted-cache-", Private | Encrypted | Cache},
	{"private-encrypted-", Private | Encrypted},
	{"private-cache-", Private | Cache},
	{"private-", Private},
	{"presence-cache-", Private | Presence | Cache},
	{"presence-", Private | Presence},
	{"cache-", Cache},
}

// KindOf returns the kind of a channel by the exact prefix of its name.
//
// Pusher: channel types by prefix, section "Channel types".
// Departs: Reverb tests prefixes without the dash ("privateer" is private there,
// "cachet" cached) and does not cache private-encrypted-cache- channels.
func KindOf(name string) Kind {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.kind
		}
	}
	return Public
}
