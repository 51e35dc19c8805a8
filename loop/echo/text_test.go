package echo_test

import (
	"fmt"
	"strings"
)

// validTexts are characters at every border of UTF-8.
//
// RFC 3629 section 4.
var validTexts = []string{
	"", "Hello", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff",
	"\U00010000", "\U0003ffff", "\U000fffff", "\U0010ffff", "a\U0001f600b", "\ufeffmark",
}

// invalidTexts are each way not to be UTF-8.
var invalidTexts = []struct{ name, payload string }{
	{"continuation byte alone", "\x80"},
	{"last continuation byte alone", "\xbf"},
	{"two continuation bytes", "\x80\xbf"},
	{"seven continuation bytes", "\x80\xbf\x80\xbf\x80\xbf\x80"},
	{"first byte of two, then a space", "\xc2 "},
	{"first byte of three, then a space", "\xe0 "},
	{"first byte of four, then a space", "\xf0 "},
	{"first byte of five", "\xf8\x88\x80\x80\x80"},
	{"first byte of six", "\xfc\x84\x80\x80\x80\x80"},
	{"two of three bytes, then a letter", "\xe2\x82a"},
	{"three of four bytes, then a letter", "\xf0\x9f\x98a"},
	{"0xfe", "\xfe"},
	{"0xff", "\xff"},
	{"overlong slash of two bytes", "\xc0\xaf"},
	{"overlong slash of three bytes", "\xe0\x80\xaf"},
	{"overlong slash of four bytes", "\xf0\x80\x80\xaf"},
	{"overlong NUL", "\xc0\x80"},
	{"longest overlong of two bytes", "\xc1\xbf"},
	{"longest overlong of three bytes", "\xe0\x9f\xbf"},
	{"longest overlong of four bytes", "\xf0\x8f\xbf\xbf"},
	{"first high surrogate", "\xed\xa0\x80"},
	{"last high surrogate", "\xed\xaf\xbf"},
	{"first low surrogate", "\xed\xb0\x80"},
	{"last low surrogate", "\xed\xbf\xbf"},
	{"pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"},
	{"above U+10FFFF", "\xf4\x90\x80\x80"},
	{"far above U+10FFFF", "\xf7\xbf\xbf\xbf"},
	{"right text before", "κόσμε\xed\xa0\x80edited"},
}

// cutTexts end inside a character.
var cutTexts = []string{"\xc2", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98", "κόσμ\xce"}

func textCases() (rows []conformanceCase) {
	add := func(group string, n int, name string, send, want []byte, code int) {
		rows = append(rows, conformanceCase{fmt.Sprint("6.", group, ".", n+1), "8.1", name, send, want, code})
	}
	for i, s := range validTexts {
		add("1", i, fmt.Sprintf("%+q whole", s), frame(fin|text, s), answer(text, s), 0)
		add("2", i, fmt.Sprintf("%+q in fragments of a byte", s), fragments(s), answer(text, s), 0)
	}
	for i, row := range invalidTexts {
		add("3", i, row.name+", whole", frame(fin|text, row.payload), nil, 1007)
		add("4", i, row.name+", in fragments of a byte", fragments(row.payload), nil, 1007)
		// The rest never comes.
		add("5", i, row.name+", in a first fragment", frame(text, row.payload), nil, 1007)
		add("6", i, row.name+", as binary", frame(fin|bin, row.payload), answer(bin, row.payload), 0)
	}
	for i, s := range cutTexts {
		add("7", i, fmt.Sprintf("%+q ends a text", s), frame(fin|text, s), nil, 1007)
		add("8", i, fmt.Sprintf("%+q ends a text in fragments", s), fragments(s), nil, 1007)
	}
	good := "κόσμε " + strings.Repeat("\U0001f600", 20)
	add("9", 0, "a text without end that goes wrong", append(manyFragments(good), frame(0, "\xf4\x90")...), nil, 1007)
	return rows
}

// fragments sends a text a byte at a time and ends with an empty fragment.
func fragments(s string) []byte { return append(manyFragments(s), frame(fin, "")...) }

func manyFragments(s string) []byte {
	b := frame(text, "")
	for i := range len(s) {
		b = append(b, frame(0, s[i:i+1])...)
	}
	return b
}
