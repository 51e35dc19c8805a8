package frame

import "github.com/gobwas/ws"

// Whole is Frame for a text message that came in one piece by other means than
// frames. It is held to the same limit and has to be UTF-8 like any other.
func (r *Reader) Whole(payload []byte) (Event, *CloseError) {
	if int64(len(payload)) > int64(r.MaxMessageBytes) {
		return Event{}, errTooBig
	}
	return message(true, payload)
}

// Next reads the first of the frames that the Append functions and Seal made, and
// returns the ones behind it. Its payload is a view. frames must hold at least
// one, and whole ones only.
//
// RFC 6455 section 5.1: frames of a server are not masked.
func Next(frames []byte) (e Event, rest []byte) {
	op, n, size := ws.OpCode(frames[0]&15), int(frames[1]), 2
	switch n {
	case 126:
		n, size = int(frames[2])<<8|int(frames[3]), 4
	case 127:
		n, size = 0, 10
		for _, b := range frames[2:size] {
			n = n<<8 | int(b)
		}
	}
	body, rest := frames[size:size+n:size+n], frames[size+n:]
	switch op {
	case ws.OpPing:
		e = Event{Kind: Ping, Payload: body}
	case ws.OpPong:
		e = Event{Kind: Pong, Payload: body}
	case ws.OpClose:
		e.Kind = Close
		// The body is the one that AppendClose made.
		e.Code, e.Payload, _ = parseClose(body)
	default:
		e = Event{Kind: Message, Text: op == ws.OpText, Payload: body}
	}
	return e, rest
}
