package config

import (
	"net/netip"
	"slices"
	"strings"
)

// check reports what is wrong with values that are fine one by one.
func (c *Config) check(r *report) {
	c.checkServer(r)
	c.checkUnique(r)
	for i := range c.Apps {
		c.Apps[i].check(appPath(i), r)
		c.Apps[i].checkAgainst(&c.Server, appPath(i), r)
	}
}

// checkAgainst reports limits of an app that others make impossible to reach, or
// costly. 0 is no limit.
func (a *App) checkAgainst(s *Server, path string, r *report) {
	for _, pair := range []struct {
		key         string
		value       int64
		other       string
		limit       int64
		consequence string
	}{
		{"max_message_size", a.MaxMessageBytes, "max_outbound_bytes", int64(s.MaxOutboundBytes), "a client event of that size closes connections that cannot take it at once"},
		{"max_event_bytes", a.MaxEventBytes, "max_request_size", s.MaxRequestBytes, "no event can be that large"},
		{"max_connections", int64(a.MaxConnections), "max_connections of the node", int64(s.MaxConnections), "the node is full before"},
		{"max_presence_member_bytes", int64(a.MaxPresenceMemberBytes), "max_message_size", a.MaxMessageBytes, "no member can be that large"},
	} {
		if pair.value > 0 && pair.limit > 0 && pair.value > pair.limit {
			r.warn(path+pair.key, formatNumber(pair.value)+" is more than "+pair.other+" "+formatNumber(pair.limit)+": "+pair.consequence)
		}
	}
}

func (c *Config) checkServer(r *report) {
	s := &c.Server
	if s.PlainPort != 0 && s.PlainPort == s.Port {
		path := serverSection + "plain_port"
		r.fail("%s (%s): %d is the port with TLS already", path, c.origins[path], s.Port)
	}
	c.checkProxies(r)
	c.checkScaling(r)
	s.Monitoring.checkAlerts(c.Apps, r)
	if s.MaxOutboundBytes > 0 && int64(s.MaxOutboundBytes) < s.MaxRequestBytes {
		r.warn(serverSection+"max_outbound_bytes",
			formatNumber(int64(s.MaxOutboundBytes))+" is less than max_request_size "+formatNumber(s.MaxRequestBytes)+
				": an event of that size closes connections that cannot take it at once")
	}
}

// checkProxies reports what makes addresses of clients meaningless.
func (c *Config) checkProxies(r *report) {
	s := &c.Server
	if s.ProxyProtocol != ProxyProtocolOff && s.ProxyProtocol != "" && len(s.TrustedProxies) == 0 && s.UnixSocket == "" {
		path := serverSection + "proxy_protocol"
		r.fail("%s (%s): %s needs trusted_proxies: the addresses from which PROXY headers may come", path, c.origins[path], s.ProxyProtocol)
	}
	limited := s.MaxConnectionsPerAddress > 0 || s.MaxHandshakesPerAddress > 0
	if limited && slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		r.warn(serverSection+"trusted_proxies", "trusts everybody: limits per address hold only as long as nobody but the proxy reaches the port")
	}
}

// checkUnique reports ids and keys that two apps share.
func (c *Config) checkUnique(r *report) {
	ids, keys := map[string]int{}, map[string]int{}
	for i, app := range c.Apps {
		reportShared(ids, app.ID, "app_id", i, r)
		reportShared(keys, app.Key, "key", i, r)
	}
}

// reportShared reports value when an app before app i has it too.
func reportShared(seen map[string]int, value, name string, i int, r *report) {
	if value == "" {
		return
	}
	if first, shared := seen[value]; shared {
		r.fail("%s%s: %q is already the %s of apps.apps[%d]", appPath(i), name, shorten(value), name, first)
		return
	}
	seen[value] = i
}

func (a *App) check(path string, r *report) {
	path += "allowed_origins"
	if a.AllowedOrigins != nil && len(a.AllowedOrigins) == 0 {
		r.warn(path, "is empty: every browser is refused")
	}
	for _, origin := range a.AllowedOrigins {
		if strings.Contains(origin, "://") {
			r.warn(path, "\""+shorten(origin)+"\" never matches: only the host of an origin is compared, without scheme and port")
		}
	}
}
