package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"resound/auth"
)

// Limits of one hook.
const (
	MaxURLBytes    = 2048
	MaxHeaders     = 32
	MaxHeaderBytes = 8192 // names and values together
)

// App is the webhooks of one app. Immutable once given to a Dispatcher.
type App struct {
	ID     string
	Key    string       // sent as X-Pusher-Key
	Secret *auth.Secret // signs the bodies
	Hooks  []Hook
}

// Hook says which events of its app go to one URL. Several hooks of an app may
// name the same URL if they have the same headers: an event that any of them
// wants goes there once.
type Hook struct {
	// URL receives the requests: http or https, at most MaxURLBytes. A user and a
	// password in it are sent as basic authentication.
	URL string

	EventTypes    []EventType // empty means all
	ChannelPrefix string      // of the channel's whole name; empty means any
	ChannelSuffix string      // empty means any

	// Headers are sent with each request. Those that belong to the webhook or to
	// HTTP itself (Content-Type, X-Pusher-*, User-Agent, Host and the like) are
	// refused by Dispatcher.Apply.
	Headers map[string]string
}

// target is where one sender sends and what it wants. Immutable; replaced as a
// whole on Apply.
type target struct {
	url    string
	shown  string // without credentials and query, for logs
	header http.Header
	secret *auth.Secret
	rules  []rule
}

// rule is the filter of one hook.
type rule struct {
	types          typeSet
	prefix, suffix string
}

// wants reports whether the hooks of this URL want an event of any of types on
// channel.
func (t *target) wants(types typeSet, channel string) bool {
	for _, r := range t.rules {
		if r.types&types != 0 && strings.HasPrefix(channel, r.prefix) && strings.HasSuffix(channel, r.suffix) {
			return true
		}
	}
	return false
}

func (t *target) types() (s typeSet) {
	for _, r := range t.rules {
		s |= r.types
	}
	return s
}

// targets checks app and returns its targets, one per URL, in the order of the
// hooks. All that is wrong is reported at once.
func (app *App) targets(userAgent string, denyPrivate bool) ([]*target, error) {
	var problems []error
	fail := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("app %q: "+format, append([]any{app.ID}, args...)...))
	}
	if len(app.Hooks) > 0 && (app.Key == "" || app.Secret == nil) {
		fail("webhooks need a key and a secret")
	}
	var all []*target
	byURL := make(map[string]*target)
	headers := make(map[string]map[string]string)
	for i, h := range app.Hooks {
		u, err := parseURL(h.URL, denyPrivate)
		if err != nil {
			fail("webhooks[%d].url: %w", i, err)
			continue
		}
		r, err := h.rule()
		if err != nil {
			fail("webhooks[%d].event_types: %w", i, err)
		}
		if t := byURL[h.URL]; t != nil {
			if !maps.Equal(headers[h.URL], h.Headers) {
				fail("webhooks[%d].headers differ from those of an earlier webhook with the same url", i)
			}
			t.rules = append(t.rules, r)
			continue
		}
		header, err := requestHeader(h.Headers, app.Key, userAgent)
		if err != nil {
			fail("webhooks[%d].headers: %w", i, err)
		}
		t := &target{url: h.URL, shown: shown(u), header: header, secret: app.Secret, rules: []rule{r}}
		all, byURL[h.URL], headers[h.URL] = append(all, t), t, h.Headers
	}
	return all, errors.Join(problems...)
}

func (h *Hook) rule() (rule, error) {
	r := rule{types: allTypes, prefix: h.ChannelPrefix, suffix: h.ChannelSuffix}
	if len(h.EventTypes) > 0 {
		r.types = setOf(h.EventTypes...)
	}
	if r.types&^allTypes != 0 {
		return r, fmt.Errorf("%v has a value that is no event type", h.EventTypes)
	}
	return r, nil
}

func parseURL(text string, denyPrivate bool) (*url.URL, error) {
	if len(text) > MaxURLBytes {
		return nil, fmt.Errorf("%d bytes exceed the limit of %d", len(text), MaxURLBytes)
	}
	u, err := url.Parse(text)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // the outer one repeats the URL, which may hold a password
		}
		return nil, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("there is no host name")
	case !validPort(u.Port()):
		return nil, fmt.Errorf("port %s is not in 1-65535", u.Port())
	case u.Fragment != "":
		return nil, errors.New("a fragment (#) is never sent")
	}
	// A name is checked when it is dialled.
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && denyPrivate {
		if err := checkPublic(address); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// shown leaves out what may be secret in a URL.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
