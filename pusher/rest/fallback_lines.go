package rest

import (
	"encoding/binary"
	"strconv"

	"github.com/tidwall/gjson"

	"resound/pusher"
)

// appendMessages appends the line of messages that stand behind their lengths.
func appendMessages(dst, messages []byte) []byte {
	dst = append(dst, 'a')
	separator := byte('[')
	for len(messages) > 0 {
		n := 4 + int(binary.BigEndian.Uint32(messages))
		dst = gjson.AppendJSONString(append(dst, separator), view(messages[4:n]))
		separator = ','
		messages = messages[n:]
	}
	return append(dst, "]\n"...)
}

func appendHeartbeat(dst []byte) []byte { return append(dst, "h\n"...) }

func appendClose(dst []byte, code int, reason string) []byte {
	dst = strconv.AppendInt(append(dst, "c["...), int64(code), 10)
	dst = gjson.AppendJSONString(append(dst, ','), reason)
	return append(dst, "]\n"...)
}

// parseMessages reads the body of a sending request, an array of messages as
// strings. The messages are copies.
func parseMessages(body []byte) (messages [][]byte, ok bool) {
	if !pusher.ValidJSON(view(body)) {
		return nil, false
	}
	array := gjson.ParseBytes(body) // copies body
	if !array.IsArray() {
		return nil, false
	}
	ok = true
	array.ForEach(func(_, value gjson.Result) bool {
		ok = value.Type == gjson.String
		messages = append(messages, []byte(value.Str))
		return ok
	})
	return messages, ok
}

// utf16Units is the length of text as a script counts it.
func utf16Units(text []byte) (units int) {
	for _, b := range text {
		if b&0xC0 != 0x80 {
			units++ // the first byte of a character
		}
		if b >= 0xF0 {
			units++ // which takes a surrogate pair
		}
	}
	return units
}
