package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// parseList reads a list of texts. Its result is never nil: an empty list in a
// file is a list without entries, not a missing one.
func (s spec) parseList(dst *[]string, value any) error {
	items, isList := list(value)
	if !isList {
		return s.wrong(value, "a list or a text with commas")
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		text, isText := item.(string)
		if text = strings.TrimSpace(text); !isText || text == "" {
			return fmt.Errorf("entry %s is not a text", s.show(item))
		}
		texts = append(texts, text)
	}
	*dst = texts
	return nil
}

// list returns the entries of a list, of a PHP array with its keys, or of a
// text with commas.
func list(value any) ([]any, bool) {
	switch value := value.(type) {
	case []any:
		return value, true
	case map[string]any:
		items := make([]any, 0, len(value))
		for _, name := range numericKeys(value) {
			items = append(items, value[name])
		}
		return items, len(items) == len(value)
	case string:
		var items []any
		for item := range strings.SplitSeq(value, ",") {
			if strings.TrimSpace(item) != "" {
				items = append(items, item)
			}
		}
		return items, true
	}
	return nil, false
}

func (s spec) parsePrefixes(dst *[]netip.Prefix, value any) error {
	var texts []string
	if err := s.parseList(&texts, value); err != nil {
		return err
	}
	prefixes := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		if named := namedPrefixes[strings.ToLower(text)]; named != nil {
			prefixes = append(prefixes, named...)
			continue
		}
		prefix, err := parsePrefix(text)
		if err != nil {
			return fmt.Errorf("entry %s is not an IP address or CIDR range, nor loopback, private or *", s.show(text))
		}
		prefixes = append(prefixes, prefix)
	}
	*dst = prefixes
	return nil
}

// namedPrefixes are words that stand for ranges.
var namedPrefixes = map[string][]netip.Prefix{
	"*":        {netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	"loopback": {netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	"private": {
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"),
	},
}

// mappedBits is how many bits of an IPv6 address stand before an IPv4 address in it.
const mappedBits = 96

// parsePrefix reads a CIDR range or one address. IPv4 addresses in IPv6 addresses
// are IPv4 addresses, as they are of clients.
func parsePrefix(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		if a := prefix.Addr(); a.Is4In6() && prefix.Bits() >= mappedBits {
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-mappedBits)
		}
		return prefix.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr = addr.Unmap().WithZone("")
	return addr.Prefix(addr.BitLen())
}
