package population

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
)

// stage is how far a connection has come.
type stage uint8

const (
	stageIdle        stage = iota // not begun
	stageConnecting               // TCP handshake under way
	stageUpgrading                // request sent, 101 awaited
	stageEstablished              // 101 received, connection_established awaited
	stageSubscribing              // subscribe sent, subscription_succeeded awaited
	stageSubscribed
	stageEnded
)

// open reports whether the connection has a descriptor.
func (s stage) open() bool { return s != stageIdle && s != stageEnded }

// conn is one connection. Owned by the loop; kept small and free of pointers.
type conn struct {
	fd      int32
	began   uint32 // microseconds after the population's start, when its connect began
	held    int32  // subscriptions
	stage   stage
	refused uint8 // how often, at most 255
}

// newKey returns a value for Sec-WebSocket-Key. One serves all connections of a
// process: the nonce protects against caches, of which there are none here.
func newKey(r *rand.Rand) string {
	nonce := binary.BigEndian.AppendUint64(nil, r.Uint64())
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nonce, r.Uint64()))
}
