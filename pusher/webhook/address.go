package webhook

import (
	"fmt"
	"net/netip"
	"syscall"
)

// denied are networks that are not the public internet besides those that
// netip.Addr itself knows.
var denied = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network: Linux takes it for loopback
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier NAT, and metadata servers of some clouds
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64: any IPv4 address behind it
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64, local
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/32"),       // Teredo: any IPv4 address behind it
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4: any IPv4 address behind it
	netip.MustParsePrefix("fec0::/10"),       // site-local
}

// checkPublic refuses addresses that are not on the public internet, so that
// whoever may set a webhook's URL cannot reach the node's own network.
func checkPublic(address netip.Addr) error {
	a := address.Unmap().WithZone("")
	private := a.IsUnspecified() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast()
	for _, p := range denied {
		private = private || p.Contains(a)
	}
	if private {
		return fmt.Errorf("address %s is private, and webhooks.deny_private_addresses is set", address)
	}
	return nil
}

// controlPublic is a net.Dialer.Control. It sees the very address that is about
// to be dialled, so a name that resolves differently the second time gains
// nothing.
func controlPublic(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q cannot be checked: %w", address, err)
	}
	return checkPublic(a.Addr())
}
