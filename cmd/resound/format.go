package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// count writes a number with commas.
func count[T ~int | ~int64 | ~uint64](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// rate writes a number of things a second.
func rate(perSecond float64) string {
	if perSecond < 10 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64) + "/s"
	}
	return count(int64(perSecond+0.5)) + "/s"
}

// size writes a number of bytes.
func size(bytes int64) string {
	const units = "kMGT"
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	n := float64(bytes)
	i := -1
	for n >= 999.5 && i < len(units)-1 {
		n /= 1000
		i++
	}
	return fmt.Sprintf("%.3g %cB", n, units[i])
}

// milliseconds writes a number of them.
func milliseconds(n float64) string {
	if n < 9.95 {
		return strconv.FormatFloat(n, 'f', 1, 64) + " ms"
	}
	return count(int64(n+0.5)) + " ms"
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// printJSON writes a value for scripts, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
