package config

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// only refines a text that may have just one value.
func only(value string) func(string) (string, error) {
	return func(text string) (string, error) {
		if text != value {
			return "", fmt.Errorf("%q, the only one there is", value)
		}
		return text, nil
	}
}

// oneOf refines a text that is one of a few, in any case.
func oneOf(values ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		text = strings.ToLower(strings.TrimSpace(text))
		if !slices.Contains(values, text) {
			return "", fmt.Errorf("one of %s", strings.Join(values, ", "))
		}
		return text, nil
	}
}

// fileMode refines the rights of a file.
func fileMode(text string) (string, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 8, 32)
	if err != nil || n > 0o777 {
		return "", errors.New("rights in octal, 0000 to 0777")
	}
	return fmt.Sprintf("%04o", n), nil
}

// maxPrefixBytes bounds what begins every key of a cluster in Redis.
const maxPrefixBytes = 200

// redisPrefix refines what begins keys in Redis, where braces say which part of a
// key decides its place.
func redisPrefix(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxPrefixBytes || strings.ContainsAny(text, "{}\r\n") {
		return "", fmt.Errorf("a text of at most %d bytes without braces", maxPrefixBytes)
	}
	return text, nil
}

// listenHost refines the address to listen on.
func listenHost(text string) (string, error) {
	host := strings.TrimSpace(text)
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		host = strings.TrimSuffix(inner, "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	for _, c := range []byte(host) {
		if !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			host = ""
			break
		}
	}
	if host == "" {
		return "", errors.New("an IP address or a host name without scheme and port")
	}
	return host, nil
}

// pathPrefix refines the prefix of the routes to "" or "/x".
func pathPrefix(text string) (string, error) {
	trimmed := strings.Trim(strings.TrimSpace(text), "/")
	if trimmed == "" {
		return "", nil
	}
	for _, c := range []byte(trimmed) {
		if !isAlphanumeric(c) && !strings.ContainsRune("/-._~", rune(c)) {
			return "", errors.New("a path of letters, digits and - . _ ~ /")
		}
	}
	for part := range strings.SplitSeq(trimmed, "/") {
		if part == "" || part == "." || part == ".." {
			return "", errors.New(`a path without "//", "/./" and "/../"`)
		}
	}
	return "/" + trimmed, nil
}

// httpURL refines the URL of another server. Credentials in it would be shown
// with it.
func httpURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" || u.User != nil {
		return "", errors.New("an http:// or https:// URL with a host and without user and fragment")
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return "", errors.New("a URL with a port from 1 to 65535")
	}
	return u.String(), nil
}

// smtpURL refines the URL of a mail server. It may have credentials.
func smtpURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Fragment != "" || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
		return "", errors.New("an smtp:// or smtps:// URL with a host, as smtp://user:password@host:587")
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return "", errors.New("a URL with a port from 1 to 65535")
	}
	return u.String(), nil
}

// mailAddress refines the address of a sender.
func mailAddress(text string) (string, error) {
	if _, err := mail.ParseAddress(text); err != nil {
		return "", errors.New("a mail address, as resound@example.com")
	}
	return text, nil
}

// maxCredentialBytes bounds the id and the key of an app: both stand in URLs.
const maxCredentialBytes = 200

// appID refines the id of an app.
func appID(text string) (string, error) { return urlPart(text, `/?#%\`) }

// appKey refines the key of an app. A colon is what separates it from the
// signature in an auth string.
func appKey(text string) (string, error) { return urlPart(text, `/?#%\:`) }

// urlPart accepts visible ASCII without the banned characters.
func urlPart(text, banned string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxCredentialBytes {
		return "", fmt.Errorf("at most %d bytes long", maxCredentialBytes)
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' || strings.IndexByte(banned, c) >= 0 {
			return "", fmt.Errorf("visible ASCII without %s", strings.Join(strings.Split(banned, ""), " "))
		}
	}
	return text, nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
