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
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments; Teredo: any IPv4 address behind it
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4: any IPv4 address behind it
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

// global is where the public internet of IPv6 is. NAT64, IPv4-compatible and
// -translated addresses, behind which any IPv4 address may be, are outside of it.
var global = netip.MustParsePrefix("2000::/3")

// checkPublic refuses addresses that are not on the public internet, so that
// whoever may set a webhook's URL cannot reach the node's own network.
func checkPublic(address netip.Addr) error {
	a := address.Unmap().WithZone("")
	private := a.IsUnspecified() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
		a.Is6() && !global.Contains(a)
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
