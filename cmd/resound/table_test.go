package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	columns := []column{{title: "NAME", cut: true}, {title: "N", right: true}}
	for _, row := range []struct {
		name  string
		width int
		rows  [][]string
		want  string
	}{
		{"nothing", 80, nil, "NAME  N\n"},
		{"aligned", 0, [][]string{{"a", "1"}, {"longer", "1,000"}}, "NAME        N\na           1\nlonger  1,000\n"},
		{"cut to fit", 14, [][]string{{"a very long name", "12"}}, "NAME         N\na very lo…  12\n"},
		{"as narrow as it gets", 1, [][]string{{"a very long name", "12"}}, "NAME       N\na very …  12\n"},
		{"what could steer the terminal", 0, [][]string{{"\x1b[2J", "1"}}, "NAME       N\n\"\\x1b[2J\"  1\n"},
		{"letters of more than a byte", 0, [][]string{{"äöüé", "1"}, {"a", "2"}}, "NAME  N\näöüé  1\na     2\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			if err := writeTable(&out, row.width, columns, row.rows); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
			for line := range strings.Lines(out.String()) {
				if n := utf8.RuneCountInString(strings.TrimSpace(line)); row.width >= 12 && n > row.width {
					t.Errorf("%d characters, want at most %d: %q", n, row.width, line)
				}
			}
		})
	}
}

func TestRowsFitTheScreen(t *testing.T) {
	for _, row := range []struct{ height, limit, others, want int }{
		{0, 0, 5, 0},   // no screen: all
		{0, 7, 5, 7},   // as asked
		{24, 0, 5, 19}, // what fits
		{24, 7, 5, 7},
		{24, 70, 5, 19},
		{3, 0, 5, 1}, // one in any case
	} {
		if got := (screen{height: row.height}).rows(row.limit, row.others); got != row.want {
			t.Errorf("%+v: %d rows", row, got)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, row := range []struct{ got, want string }{
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(-1234567), "-1,234,567"},
		{count(uint64(100000)), "100,000"},
		{rate(0.04), "0.0/s"},
		{rate(9.94), "9.9/s"},
		{rate(1234.5), "1,235/s"},
		{size(0), "0 B"},
		{size(999), "999 B"},
		{size(1000), "1 kB"},
		{size(65536), "65.5 kB"},
		{size(999_900), "1 MB"},
		{size(25_300_000_000), "25.3 GB"},
		{milliseconds(0.04), "0.0 ms"},
		{milliseconds(9.94), "9.9 ms"},
		{milliseconds(1234.5), "1,235 ms"},
		{span(-1), "0s"},
		{span(1234 * time.Millisecond), "1.2s"},
		{span(59 * time.Second), "59s"},
		{span(61 * time.Second), "1m1s"},
		{span(90 * time.Minute), "1h30m"},
		{span(50 * time.Hour), "2d2h"},
		{shorten("abc", 3), "abc"},
		{shorten("äbcd", 3), "äb…"},
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
}
