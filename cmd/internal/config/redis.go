package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// checkScaling brings what is said of Redis into one form and reports what is
// wrong with it. Without scaling nothing of it matters.
func (c *Config) checkScaling(r *report) {
	s := &c.Server.Scaling
	if !s.Enabled {
		return
	}
	fail := func(name, format string, args ...any) {
		path := serverSection + "scaling." + name
		r.fail("%s (%s): %s", path, c.origins[path], fmt.Sprintf(format, args...))
	}
	redis := &s.Redis
	redis.TLS = redis.TLS || redis.Scheme == "tls" || redis.Scheme == "rediss"
	if host, ok := strings.CutPrefix(redis.Host, "tls://"); ok {
		redis.Host, redis.TLS = host, true
	}
	if redis.URL != "" {
		if err := redis.takeURL(); err != nil {
			fail("server.url", "%v", err)
		}
	}
	if redis.Host == "" || strings.ContainsAny(redis.Host, "/ @") {
		fail("server.host", "%q is not a host name or an IP address", shorten(redis.Host))
	}
	if len(redis.Cluster) > 0 && len(redis.Sentinel.Addresses) > 0 {
		fail("server.sentinel.addresses", "Redis is a cluster (scaling.server.cluster) or found by sentinels, not both")
	}
	if len(redis.Cluster) > 0 && redis.Database != 0 {
		fail("server.database", "%d is not 0, the only database of a Redis Cluster", redis.Database)
	}
	for _, list := range []struct {
		name      string
		addresses []string
	}{{"server.cluster", redis.Cluster}, {"server.sentinel.addresses", redis.Sentinel.Addresses}} {
		for _, address := range list.addresses {
			if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
				fail(list.name, "%q is not HOST:PORT", shorten(address))
			}
		}
	}
}

// takeURL sets the fields that the URL speaks of. Errors repeat nothing of it: it
// may hold the password.
//
// Reverb: username, password and db may also stand in the query.
func (r *Redis) takeURL() error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return errors.New("the value (not shown) is not a URL with a host, such as redis://HOST:PORT/0")
	}
	switch u.Scheme {
	case "redis", "tcp":
	case "rediss", "tls":
		r.TLS = true
	default:
		return errors.New("the scheme of the URL is not redis, rediss, tcp or tls")
	}
	query := u.Query()
	r.Host = u.Hostname()
	if u.Port() != "" {
		if r.Port, err = strconv.Atoi(u.Port()); err != nil || r.Port < 1 || r.Port > 65535 {
			return errors.New("the port of the URL is not a number from 1 to 65,535")
		}
	}
	if name := u.User.Username(); name != "" {
		r.Username = name
	} else if query.Has("username") {
		r.Username = query.Get("username")
	}
	if password, ok := u.User.Password(); ok {
		r.Password = password
	} else if query.Has("password") {
		r.Password = query.Get("password")
	}
	database := strings.Trim(u.Path, "/")
	if database == "" {
		database = query.Get("db")
	}
	if database != "" {
		if r.Database, err = strconv.Atoi(database); err != nil || r.Database < 0 || r.Database > 65535 {
			return errors.New("the database of the URL is not a number from 0 to 65,535")
		}
	}
	return nil
}
