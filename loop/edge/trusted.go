package edge

import (
	"bytes"
	"net/netip"
	"slices"
)

// Trusted are the proxies that may speak for others. The zero value is nobody.
// Immutable.
type Trusted struct {
	prefixes  []netip.Prefix
	everybody bool
}

// NewTrusted returns the proxies of the prefixes. A prefix of no bits stands for
// whoever connects, and for nobody whom a proxy names.
func NewTrusted(prefixes []netip.Prefix) Trusted {
	var t Trusted
	for _, p := range prefixes {
		if p.Bits() == 0 {
			t.everybody = true
		} else {
			t.prefixes = append(t.prefixes, p)
		}
	}
	return t
}

// Peer reports whether who connects from an address is believed.
func (t *Trusted) Peer(a netip.Addr) bool {
	return a.IsValid() && (t.everybody || t.listed(a.WithZone("")))
}

func (t *Trusted) listed(a netip.Addr) bool {
	return slices.ContainsFunc(t.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Client returns the client's address from the X-Forwarded-For lines of a request
// that came from a believed peer: the right-most address that is no proxy of ours.
// What stands left of it is the client's own word. When all are proxies the
// left-most of them is the client. The zero value means that the lines tell none.
func (t *Trusted) Client(lines [][]byte) (client netip.AddrPort) {
	for _, line := range slices.Backward(lines) {
		for line != nil {
			var item []byte
			if i := bytes.LastIndexByte(line, ','); i >= 0 {
				line, item = line[:i], line[i+1:]
			} else {
				line, item = nil, line
			}
			next, ok := parseClient(bytes.Trim(item, " \t"))
			if !ok {
				return client // whoever wrote that is the last one known
			}
			if client = next; !t.listed(client.Addr()) {
				return client
			}
		}
	}
	return client
}

// maxClientBytes is the length of the longest entry, an IPv6 address with a port.
const maxClientBytes = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")

// parseClient reads an entry: an address, which some proxies give a port.
func parseClient(item []byte) (netip.AddrPort, bool) {
	if len(item) > maxClientBytes {
		return netip.AddrPort{}, false
	}
	text := string(item)
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), true
	}
	if n := len(text); n > 2 && text[0] == '[' && text[n-1] == ']' {
		a, err := netip.ParseAddr(text[1 : n-1])
		return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), err == nil && a.Is6()
	}
	p, err := netip.ParseAddrPort(text)
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port()), err == nil
}
