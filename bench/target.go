package bench

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"resound/bench/rest"
	"resound/bench/wire"
)

// parseTarget reads ws://HOST:PORT[/PREFIX] and resolves the host.
func parseTarget(target string, app wire.App) (rest.Target, error) {
	u, err := url.Parse(target)
	if err != nil {
		return rest.Target{}, fmt.Errorf("target: %w", err)
	}
	if u.Scheme != "ws" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return rest.Target{}, fmt.Errorf("target %q is not ws://HOST:PORT[/PREFIX]", target)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	address, err := net.ResolveTCPAddr("tcp4", host)
	if err != nil {
		return rest.Target{}, fmt.Errorf("target: %w", err)
	}
	return rest.Target{Address: address.String(), Host: host, Prefix: strings.TrimSuffix(u.Path, "/"), App: app}, nil
}

// socketPath is the target of the WebSocket upgrade.
//
// Pusher: WebSocket protocol, "Connection".
func socketPath(t rest.Target) string {
	return t.Prefix + "/app/" + t.App.Key + "?protocol=7&client=resound-bench&version=1.0&flash=false"
}
