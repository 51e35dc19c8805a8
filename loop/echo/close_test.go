package echo_test

import (
	"fmt"
	"slices"
	"strings"
)

func closeCases() []conformanceCase {
	reason := strings.Repeat("*", 123)
	rows := []conformanceCase{
		{"7.1", "5.5.1", "message, then close", slices.Concat(frame(fin|text, "Hello"), closing(1000, "")), answer(text, "Hello"), 1000},
		{"7.2", "5.5.1", "two closes", slices.Concat(closing(1000, ""), closing(1000, "")), nil, 1000},
		{"7.3", "5.5.1", "ping after a close", slices.Concat(closing(1000, ""), frame(fin|ping, "x")), nil, 1000},
		{"7.4", "5.5.1", "text after a close", slices.Concat(closing(1000, ""), frame(fin|text, "x")), nil, 1000},
		{"7.5", "5.5.1", "fragment, close, rest", slices.Concat(frame(text, "a"), closing(1000, ""), frame(fin, "b")), nil, 1000},
		{"7.6", "7.1.5", "without a code", frame(fin|closes, ""), nil, 1005},
		{"7.7", "5.5.1", "half a code", frame(fin|closes, "\x03"), nil, 1002},
		{"7.8", "7.1.6", "with a reason", closing(1000, "Hello"), nil, 1000},
		{"7.9", "5.5", "with a reason of 123 bytes", closing(1000, reason), nil, 1000},
		{"7.10", "5.5", "with a reason of 124 bytes", closing(1000, reason+"*"), nil, 1002},
		{"7.11", "7.1.6, 8.1", "with a reason that is not UTF-8", closing(1000, "κ\xed\xa0\x80"), nil, 1007},
		{"7.12", "5.5", "in fragments", slices.Concat(frame(closes, "\x03\xe8"), frame(fin, "")), nil, 1002},
	}
	for i, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		rows = append(rows, conformanceCase{
			fmt.Sprint("7.20.", i+1), "7.4", fmt.Sprint("code ", code, " is echoed"), closing(code, ""), nil, int(code),
		})
	}
	for i, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		rows = append(rows, conformanceCase{
			fmt.Sprint("7.21.", i+1), "7.4", fmt.Sprint("code ", code, " must not be sent"), closing(code, ""), nil, 1002,
		})
	}
	return rows
}
