package redis

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"

	"resound/channels/cluster"
)

// names derives keys, topics and cids. Immutable.
type names struct {
	root   string // "{prefix:db}": leases, and the topic of all nodes
	base   [buckets]string
	topics uint64
}

func newNames(prefix string, database, topics int) *names {
	n := &names{root: "{" + prefix + ":" + strconv.Itoa(database) + "}", topics: uint64(topics)}
	for b := range n.base {
		n.base[b] = "{" + prefix + ":" + strconv.Itoa(database) + ":" + strconv.Itoa(b) + "}"
	}
	return n
}

// topic returns the topic of a channel. Every node and version must agree on it.
func (n *names) topic(c cluster.Channel) uint32 {
	h := fnv.New64a()
	h.Write([]byte(c.App))
	h.Write([]byte{0})
	h.Write([]byte(c.Name))
	sum := h.Sum64()
	// The low bits of FNV are its weak ones.
	return uint32((sum ^ sum>>32) & (n.topics - 1))
}

// bucketOf returns the bucket of a topic.
func bucketOf(topic uint32) int { return int(topic % buckets) }

// topicName is where the bus carries a topic.
func (n *names) topicName(topic uint32) string {
	return n.base[bucketOf(topic)] + ":" + strconv.FormatUint(uint64(topic), 10)
}

// allName is the topic of what concerns all nodes.
func (n *names) allName() string { return n.root + ":all" }

// appendCID appends what names a channel in scripts and on the bus: topic, app
// and name, each after its length.
func (n *names) appendCID(dst []byte, topic uint32, c cluster.Channel) []byte {
	dst = appendField(dst, strconv.FormatUint(uint64(topic), 10))
	dst = appendField(dst, c.App)
	return appendField(dst, c.Name)
}

func (n *names) cid(topic uint32, c cluster.Channel) string {
	return string(n.appendCID(make([]byte, 0, 24+len(c.App)+len(c.Name)), topic, c))
}

func appendField[S string | []byte](dst []byte, field S) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(field)))
	return append(dst, field...)
}

// topicOf is the inverse of topicName.
func (n *names) topicOf(name string) (topic uint32, ok bool) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return 0, false
	}
	t, err := strconv.ParseUint(name[i+1:], 10, 32)
	return uint32(t), err == nil
}

// slotOfTag returns the slot of "{tag}": the CRC16 (XMODEM) of what the braces
// enclose.
//
// Redis Cluster specification, "Key distribution model".
func slotOfTag(tag string) int {
	var crc uint16
	for _, b := range []byte(tag[1 : len(tag)-1]) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % 16384)
}
