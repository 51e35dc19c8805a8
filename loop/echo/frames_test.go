package echo_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"resound/loop/echo"
)

func framingCases() (rows []conformanceCase) {
	for kind, op := range []byte{text, bin} {
		for i, n := range []int{0, 1, 124, 125, 126, 127, 128, 65535, 65536, 65537} {
			payload := strings.Repeat("*", n)
			rows = append(rows, conformanceCase{
				fmt.Sprintf("1.%d.%d", kind+1, i+1), "5.2, 5.6", fmt.Sprintf("opcode %d of %d bytes", op, n),
				frame(fin|op, payload), answer(op, payload), 0,
			})
		}
	}
	long := strings.Repeat("*", 125)
	short16 := append([]byte{fin | text, 0x80 | 126, 0, 125, 0, 0, 0, 0}, long...)
	short64 := append([]byte{fin | text, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 125, 0, 0, 0, 0}, long...)
	negative := []byte{fin | text, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}
	return append(rows,
		conformanceCase{"1.3.1", "5.2", "16 bits for a length that needs 7", short16, nil, 1002},
		conformanceCase{"1.3.2", "5.2", "64 bits for a length that needs 7", short64, nil, 1002},
		conformanceCase{"1.3.3", "5.2", "highest bit of a length of 64 bits", negative, nil, 1002},
	)
}

func controlCases() []conformanceCase {
	full := strings.Repeat("\xfe", 125)
	var many, pongs []byte
	for i := range 10 {
		many = append(many, frame(fin|ping, fmt.Sprint("payload ", i))...)
		pongs = append(pongs, answer(pong, fmt.Sprint("payload ", i))...)
	}
	return []conformanceCase{
		{"2.1", "5.5.2", "ping without a payload", frame(fin|ping, ""), answer(pong, ""), 0},
		{"2.2", "5.5.3", "the pong has the ping's payload", frame(fin|ping, "Hello"), answer(pong, "Hello"), 0},
		{"2.3", "5.5.2", "ping with bytes that are no text", frame(fin|ping, "\x00\xff\xfe\xfd"), answer(pong, "\x00\xff\xfe\xfd"), 0},
		{"2.4", "5.5", "ping of 125 bytes", frame(fin|ping, full), answer(pong, full), 0},
		{"2.5", "5.5", "ping of 126 bytes", frame(fin|ping, full+"x"), nil, 1002},
		{"2.6", "5.5", "pong of 126 bytes", frame(fin|pong, full+"x"), nil, 1002},
		{"2.7", "5.5.3", "a pong that nobody asked for has no answer", frame(fin|pong, ""), nil, 0},
		{"2.8", "5.5.3", "the same with a payload", frame(fin|pong, "unsolicited"), nil, 0},
		{"2.9", "5.5.3", "pong, then ping", slices.Concat(frame(fin|pong, "a"), frame(fin|ping, "b")), answer(pong, "b"), 0},
		{"2.10", "5.5.2", "ten pings are answered in order", many, pongs, 0},
		{"2.11", "5.5", "ping in fragments", slices.Concat(frame(ping, "a"), frame(fin, "b")), nil, 1002},
		{"2.12", "5.5", "pong in fragments", slices.Concat(frame(pong, "a"), frame(fin, "b")), nil, 1002},
	}
}

// reservedCases are every reserved bit on every opcode, and every reserved opcode.
func reservedCases() (rows []conformanceCase) {
	n := 0
	for _, op := range []byte{text, bin, closes, ping, pong} {
		for rsv := byte(1); rsv < 8; rsv++ {
			n++
			rows = append(rows, conformanceCase{
				fmt.Sprint("3.", n), "5.2", fmt.Sprintf("reserved bits %03b on opcode %d", rsv, op),
				slices.Concat(frame(fin|text, "before"), frame(fin|rsv<<4|op, "x"), frame(fin|ping, "after")),
				answer(text, "before"), 1002,
			})
		}
	}
	n = 0
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, payload := range []string{"", "payload"} {
			n++
			rows = append(rows, conformanceCase{
				fmt.Sprint("4.", n), "5.2", fmt.Sprintf("reserved opcode %d, %d bytes", op, len(payload)),
				slices.Concat(frame(fin|text, "before"), frame(fin|op, payload), frame(fin|ping, "after")),
				answer(text, "before"), 1002,
			})
		}
	}
	return rows
}

func fragmentCases() []conformanceCase {
	join := func(frames ...[]byte) []byte { return slices.Concat(frames...) }
	whole := answer(text, "fragment1fragment2")
	return []conformanceCase{
		{"5.1", "5.4", "text in two fragments", join(frame(text, "fragment1"), frame(fin, "fragment2")), whole, 0},
		{"5.2", "5.4", "binary in two fragments", join(frame(bin, "\xff\x00"), frame(fin, "\xfe")), answer(bin, "\xff\x00\xfe"), 0},
		{"5.3", "5.4", "ping between fragments", join(frame(text, "fragment1"), frame(fin|ping, "p"), frame(fin, "fragment2")), join(answer(pong, "p"), whole), 0},
		{"5.4", "5.4", "pong between fragments", join(frame(text, "fragment1"), frame(fin|pong, "p"), frame(fin, "fragment2")), whole, 0},
		{"5.5", "5.4", "empty fragments", join(frame(text, ""), frame(0, ""), frame(fin, "")), answer(text, ""), 0},
		{"5.6", "5.4", "only the middle fragment has bytes", join(frame(text, ""), frame(0, "middle"), frame(fin, "")), answer(text, "middle"), 0},
		{"5.7", "5.4", "last continuation without a message", join(frame(fin, "x"), frame(fin|text, "y")), nil, 1002},
		{"5.8", "5.4", "continuation without a message", join(frame(0, "x"), frame(fin|text, "y")), nil, 1002},
		{"5.9", "5.4", "continuation after a whole message", join(frame(fin|text, "a"), frame(fin, "b")), answer(text, "a"), 1002},
		{"5.10", "5.4", "continuation after the last fragment", join(frame(text, "a"), frame(fin, "b"), frame(fin, "c")), answer(text, "ab"), 1002},
		{"5.11", "5.4", "text inside a fragmented text", join(frame(text, "a"), frame(fin|text, "b")), nil, 1002},
		{"5.12", "5.4", "fragment of a text inside a fragmented binary", join(frame(bin, "a"), frame(text, "b")), nil, 1002},
		{"5.13", "5.4", "two fragmented messages, pings between", join(
			frame(text, "a"), frame(fin|ping, "1"), frame(0, "b"), frame(fin|ping, "2"), frame(fin, "c"),
			frame(bin, "d"), frame(fin|ping, "3"), frame(fin, "e"),
		), join(answer(pong, "1"), answer(pong, "2"), answer(text, "abc"), answer(pong, "3"), answer(bin, "de")), 0},
		{"5.14", "5.4", "close inside a fragmented message", join(frame(text, "a"), closing(1000, "")), nil, 1000},
	}
}

func limitCases() []conformanceCase {
	const large = 1 << 20
	payload := strings.Repeat("κ", large/2)
	var pieces []byte
	for i := 0; i < large; i += 4096 {
		first := byte(0)
		if i == 0 {
			first = bin
		} else if i+4096 == large {
			first = fin
		}
		pieces = append(pieces, frame(first, payload[i:i+4096])...)
	}
	tooLong := binary.BigEndian.AppendUint64([]byte{fin | bin, 0x80 | 127}, echo.MaxMessageBytes+1)
	endless := append(frame(bin, "x"), binary.BigEndian.AppendUint64([]byte{0, 0x80 | 127}, echo.MaxMessageBytes)...)
	return []conformanceCase{
		{"9.1", "5.2", "text of 1 MB", frame(fin|text, payload), answer(text, payload), 0},
		{"9.2", "5.4", "binary of 1 MB in fragments of 4 KB", pieces, answer(bin, payload), 0},
		{"9.3", "7.4.1", "one byte over the limit, told by the header alone", tooLong, nil, 1009},
		{"9.4", "7.4.1", "one byte over the limit with the last fragment", endless, nil, 1009},
	}
}

func maskCases() []conformanceCase {
	unmasked := func(op byte, payload string) []byte { return append([]byte{fin | op, byte(len(payload))}, payload...) }
	return []conformanceCase{
		{"10.1", "5.3", "a mask of zeros", maskedFrame(fin|text, "zeros", [4]byte{}), answer(text, "zeros"), 0},
		{"10.2", "5.3", "a mask of ones", maskedFrame(fin|text, "ones", [4]byte{255, 255, 255, 255}), answer(text, "ones"), 0},
		{"10.3", "5.3", "a mask of its own for each fragment", slices.Concat(
			maskedFrame(text, "abc", [4]byte{1, 2, 3, 4}), maskedFrame(fin, "defgh", [4]byte{9, 8, 7, 6}),
		), answer(text, "abcdefgh"), 0},
		{"10.4", "5.1", "text without a mask", unmasked(text, "x"), nil, 1002},
		{"10.5", "5.1", "ping without a mask", unmasked(ping, ""), nil, 1002},
		{"10.6", "5.1", "close without a mask", unmasked(closes, "\x03\xe8"), nil, 1002},
		{"10.7", "5.1", "a fragment without a mask", slices.Concat(frame(text, "a"), []byte{fin, 1, 'b'}), nil, 1002},
	}
}
