package config

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxShownBytes bounds the part of a wrong value that an error repeats.
const maxShownBytes = 64

// masterKeyBytes is the size of an encryption master key.
const masterKeyBytes = 32

// parse stores value in the field that dst points to. Values come as text from
// the environment, where PHP's spelling of booleans and numbers is common, and
// as nil, bool, whole number, float, text, list or map from a file. The error
// says what the value is and what it should be, without naming the key.
//
// An empty text is null: it is what PHP makes of a variable set to nothing.
func (s spec) parse(dst, value any) error {
	if isBlank(value) {
		if s.null != "" || s.fallback == "" {
			return nil
		}
		value = s.fallback
	}
	switch dst := dst.(type) {
	case *string:
		return s.parseText(dst, value)
	case *int:
		n, err := s.parseNumber(value)
		*dst = int(n)
		return err
	case *int64:
		n, err := s.parseNumber(value)
		*dst = n
		return err
	case **float64:
		return s.parseFloat(dst, value)
	case *bool:
		return s.parseBool(dst, value)
	case *time.Duration:
		return s.parseDuration(dst, value)
	case *MetricsAccess:
		var text string
		err := s.parseText(&text, value)
		*dst = MetricsAccess(text)
		return err
	case *[]string:
		return s.parseList(dst, value)
	case *[]netip.Prefix:
		return s.parsePrefixes(dst, value)
	case *ProxyProtocol:
		return s.parseProxyProtocol(dst, value)
	case *[]byte:
		return s.parseMasterKey(dst, value)
	case *ClientEventsFrom:
		return s.parseClientEventsFrom(dst, value)
	}
	panic(fmt.Sprintf("config: no parser for %T of %s", dst, s.path))
}

// isBlank reports whether value is null or a text of spaces.
func isBlank(value any) bool {
	text, isText := value.(string)
	return value == nil || isText && strings.TrimSpace(text) == ""
}

// wrong is the error for a value that is not what the key wants.
func (s spec) wrong(value any, want string) error {
	return fmt.Errorf("%s is not %s", s.show(value), want)
}

// show returns a wrong value as errors repeat it.
func (s spec) show(value any) string {
	switch value := value.(type) {
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		if s.secret {
			return "the value (not shown)"
		}
		return strconv.Quote(shorten(value))
	}
	if s.secret {
		return "the value (not shown)"
	}
	return fmt.Sprint(value)
}

// userOfURL finds who a URL says it is, password and all.
var userOfURL = regexp.MustCompile(`://[^/\s]*@`)

// shorten cuts a text to what an error may repeat.
func shorten(text string) string {
	text = userOfURL.ReplaceAllString(text, "://…@")
	if len(text) <= maxShownBytes {
		return text
	}
	return text[:maxShownBytes] + "..."
}

func (s spec) parseText(dst *string, value any) error {
	text, isText := value.(string)
	if !isText {
		return s.wrong(value, "text; put it in quotes")
	}
	if s.refine == nil {
		*dst = text
		return nil
	}
	refined, err := s.refine(text)
	if err != nil {
		return fmt.Errorf("%s is not %w", s.show(value), err)
	}
	*dst = refined
	return nil
}

func (s spec) parseNumber(value any) (int64, error) {
	want := "a whole number, " + s.rangeText(formatNumber)
	if s.null != "" {
		want += ", or null"
	}
	n, isWhole := wholeNumber(value)
	if on := false; s.on != 0 && !isWhole && s.parseBool(&on, value) == nil {
		if on {
			return s.on, nil
		}
		return 0, nil
	}
	if !isWhole || n < s.min || n > s.max {
		return 0, s.wrong(value, want)
	}
	return n, nil
}

func (s spec) parseFloat(dst **float64, value any) error {
	n, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(value)), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return s.wrong(value, "a number")
	}
	*dst = &n
	return nil
}

// wholeNumber converts every spelling of a whole number.
func wholeNumber(value any) (int64, bool) {
	switch value := value.(type) {
	case int64:
		return value, true
	case uint64:
		return int64(min(value, math.MaxInt64)), true
	case float64:
		if value != math.Trunc(value) || math.Abs(value) > 1<<53 {
			return 0, false
		}
		return int64(value), true
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// rangeText returns the range of a number or duration in words.
func (s spec) rangeText(format func(int64) string) string {
	if s.max == maxCount {
		return "at least " + format(s.min)
	}
	return format(s.min) + " to " + format(s.max)
}

func formatNumber(n int64) string { return strconv.FormatInt(n, 10) }

// formatDuration returns nanoseconds as the seconds a user would write.
func formatDuration(n int64) string {
	return strconv.FormatFloat(time.Duration(n).Seconds(), 'f', -1, 64) + " s"
}

func (s spec) parseBool(dst *bool, value any) error {
	text := strings.ToLower(strings.TrimSpace(fmt.Sprint(value)))
	switch text {
	case "true", "(true)", "1", "yes", "on":
		*dst = true
	case "false", "(false)", "0", "no", "off":
		*dst = false
	default:
		return s.wrong(value, "true or false")
	}
	return nil
}

func (s spec) parseDuration(dst *time.Duration, value any) error {
	want := "a duration, " + s.rangeText(formatDuration) + ` (a number is seconds; "90s", "5m" and "1h" work too)`
	if s.whole {
		want = "whole seconds: " + want
	}
	d, isDuration := duration(value)
	if !isDuration || int64(d) < s.min || int64(d) > s.max || s.whole && d%time.Second != 0 {
		return s.wrong(value, want)
	}
	*dst = d
	return nil
}

// duration converts a number of seconds or a Go duration.
func duration(value any) (time.Duration, bool) {
	seconds := 0.0
	switch value := value.(type) {
	case int64:
		seconds = float64(value)
	case uint64:
		seconds = float64(value)
	case float64:
		seconds = value
	case string:
		text := strings.TrimSpace(value)
		if d, err := time.ParseDuration(text); err == nil {
			return d, true
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, false
		}
		seconds = n
	default:
		return 0, false
	}
	// The bound keeps the product inside an int64; NaN fails it too.
	if !(math.Abs(seconds) < 1e9) {
		return 0, false
	}
	return time.Duration(math.Round(seconds * float64(time.Second))), true
}

func (s spec) parseMasterKey(dst *[]byte, value any) error {
	text, _ := value.(string)
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != masterKeyBytes {
		return s.wrong(value, fmt.Sprintf("base64 of %d bytes", masterKeyBytes))
	}
	*dst = secret
	return nil
}

// parseProxyProtocol reads a boolean with a third value.
func (s spec) parseProxyProtocol(dst *ProxyProtocol, value any) error {
	on := false
	switch {
	case strings.EqualFold(strings.TrimSpace(fmt.Sprint(value)), string(ProxyProtocolOptional)):
		*dst = ProxyProtocolOptional
	case s.parseBool(&on, value) == nil:
		*dst = ProxyProtocol(strconv.FormatBool(on))
	default:
		return s.wrong(value, `true, false or "optional"`)
	}
	return nil
}

// Reverb: any value but "members" and "all" turns client events off; here only
// the spellings of "none" do, so that a typing error is not a silent change.
func (s spec) parseClientEventsFrom(dst *ClientEventsFrom, value any) error {
	switch text := strings.ToLower(strings.TrimSpace(fmt.Sprint(value))); text {
	case "members", "all", "none":
		*dst = ClientEventsFrom(text)
	case "false", "(false)":
		*dst = ClientEventsFromNone
	default:
		return s.wrong(value, `"members", "all" or "none"`)
	}
	return nil
}
