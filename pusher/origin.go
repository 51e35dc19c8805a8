package pusher

import "strings"

// appKey is the last segment of a handshake's path, {prefix}/app/{key}.
func appKey(path string) string {
	return path[strings.LastIndexByte(path, '/')+1:]
}

// AllowsOrigin reports whether pages of an origin may talk to the app. Empty
// stands for a request without one.
func (a *App) AllowsOrigin(origin string) bool {
	return originAllowed(a.Options().AllowedOrigins, origin)
}

// NamesOrigin reports whether the app allows an origin by a pattern that says
// more than "any", which "*.*" does not: whether somebody chose to trust it.
func (a *App) NamesOrigin(origin string) bool {
	host := originHost(origin)
	for _, p := range a.Options().AllowedOrigins {
		if strings.Trim(p, "*.") != "" && host != "" && glob(p, host) {
			return true
		}
	}
	return false
}

// originAllowed compares the host of an Origin header with patterns in which *
// stands for any characters. Scheme and port do not count; case does.
//
// Reverb: Server::verifyOrigin. A missing Origin is refused when origins are
// restricted.
func originAllowed(patterns []string, origin string) bool {
	if len(patterns) == 0 {
		return true
	}
	host := originHost(origin)
	for _, p := range patterns {
		if p == "*" || host != "" && glob(p, host) {
			return true
		}
	}
	return false
}

// originHost is the host of an origin, "https://example.com:8443" for example,
// or empty when it has none.
func originHost(origin string) string {
	_, host, ok := strings.Cut(origin, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if strings.HasPrefix(host, "[") {
		if i := strings.IndexByte(host, ']'); i >= 0 {
			return host[:i+1]
		}
		return ""
	}
	host, _, _ = strings.Cut(host, ":")
	return host
}

// glob matches all of s against a pattern in which * stands for any characters,
// none included. O(len(pattern) * len(s)).
func glob(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
