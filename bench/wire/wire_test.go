package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// stream is what a connection may receive after its upgrade: control frames and
// messages of every header length, with events between them.
func stream() (b []byte, want []string) {
	add := func(opcode byte, payload []byte) {
		b = AppendFrame(b, opcode, payload)
		want = append(want, fmt.Sprintf("%x:%d", opcode, len(payload)))
	}
	add(OpText, AppendEstablished(nil, "1.1"))
	add(OpPing, nil)
	add(OpText, AppendSubscribed(nil, "bench"))
	for i := range 3 {
		add(OpText, AppendEvent(nil, "bench", AppendStamped(nil, Stamp{Sequence: uint32(i + 1)}, 100)))
	}
	add(OpText, bytes.Repeat([]byte("y"), 125))
	add(OpText, bytes.Repeat([]byte("y"), 126))
	add(OpText, bytes.Repeat([]byte("y"), 70000))
	add(OpClose, []byte{0x03, 0xE8})
	return b, want
}

// readAll reads frames from pieces, keeping the incomplete tail as a client does.
func readAll(t *testing.T, pieces ...[]byte) []string {
	t.Helper()
	var got []string
	var buffered []byte
	for _, piece := range pieces {
		buffered = append(buffered, piece...)
		for {
			f, err := Next(buffered)
			if err != nil {
				t.Fatal(err)
			}
			if f.Bytes == 0 {
				break
			}
			got = append(got, fmt.Sprintf("%x:%d", f.Opcode, len(f.Payload)))
			buffered = buffered[f.Bytes:]
		}
	}
	if len(buffered) != 0 {
		t.Fatalf("got %d bytes left over, want 0", len(buffered))
	}
	return got
}

func TestNext(t *testing.T) {
	b, want := stream()
	t.Run("every split of the stream in two gives the same frames", func(t *testing.T) {
		for at := range len(b) + 1 {
			// The middle of the one long payload is like any other byte of it.
			if at > 2000 && at < len(b)-500 && at%1009 != 0 {
				continue
			}
			if got := readAll(t, b[:at], b[at:]); !slices.Equal(got, want) {
				t.Fatalf("split at %d: got %v, want %v", at, got, want)
			}
		}
	})
	t.Run("a byte at a time gives the same frames", func(t *testing.T) {
		if got := readAll(t, slices.Collect(slices.Chunk(b, 1))...); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestNextRejects(t *testing.T) {
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"a masked frame", []byte{0x81, 0x80, 0, 0, 0, 0}, ErrMasked},
		{"a frame with a reserved bit", []byte{0xC1, 0x00}, ErrReserved},
		{"the first fragment of a message", []byte{0x01, 0x00}, ErrFragmented},
		{"a continuation", []byte{0x80, 0x00}, ErrFragmented},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Next(tt.b); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	for _, length := range []string{"\x00\x00\x00\x00\x00\x10\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		t.Run(fmt.Sprintf("a length of %x before its payload is waited for", length), func(t *testing.T) {
			if _, err := Next([]byte("\x81\x7f" + length)); err == nil || !strings.Contains(err.Error(), "exceeds limit") {
				t.Errorf("got %v, want an error about the limit", err)
			}
		})
	}
}

func TestAppendMasked(t *testing.T) {
	// RFC 6455 section 5.7: a single-frame masked text message, "Hello".
	want := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	if got := AppendMasked(nil, OpText, []byte("Hello"), 0x37fa213d); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestUpgrade(t *testing.T) {
	// RFC 6455 section 1.3, the sample handshake.
	const key, accept = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	if got := Accept(key); got != accept {
		t.Errorf("got accept %q, want %q", got, accept)
	}
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSEC-WEBSOCKET-ACCEPT:  " + accept + "\r\n\r\n"
	tests := []struct {
		name string
		head string
		want string
	}{
		{"a correct answer opens the connection", head, ""},
		{"another status is reported", "HTTP/1.1 503 Full\r\n\r\n", `"HTTP/1.1 503 Full"`},
		{"another accept value is reported", strings.Replace(head, "s3p", "xxx", 1), `accept "xxx`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckSwitching([]byte(tt.head), accept)
			if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %v, want %q", got, tt.want)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	want := Stamp{Sequence: 0xFEDCBA98, SentNanos: 123456789012345}
	data := AppendStamped(nil, want, 100)
	if len(data) != 100 {
		t.Errorf("got %d bytes of data, want 100", len(data))
	}
	var r StampReader
	for _, place := range []string{"", "before ", `{"event":"bench","data":"`, "a much longer place before the data ~rb ~rb~"} {
		t.Run(fmt.Sprintf("is found behind %q", place), func(t *testing.T) {
			got, ok := r.Read(append([]byte(place), data...))
			if strings.HasSuffix(place, stampMark) {
				// The mark alone is not a stamp.
				if ok {
					t.Errorf("got stamp %+v, want none", got)
				}
				return
			}
			if !ok || got != want {
				t.Errorf("got %+v %t, want %+v", got, ok, want)
			}
		})
	}
	for _, payload := range []string{"", "~rb~", "~rb~0000000g~0000000000000000~", `{"event":"pusher:ping"}`} {
		if got, ok := r.Read([]byte(payload)); ok {
			t.Errorf("payload %q: got stamp %+v, want none", payload, got)
		}
	}
}

func TestSequence(t *testing.T) {
	long := make([]uint32, 0, 100)
	for i := range uint32(100) {
		long = append(long, i+1)
	}
	tests := []struct {
		name                          string
		numbers                       []uint32
		distinct, duplicated, reorder int
	}{
		{"counts consecutive events", []uint32{1, 2, 3}, 3, 0, 0},
		{"leaves a lost event out", []uint32{1, 3, 4}, 3, 0, 0},
		{"leaves a lost first event out", []uint32{2, 3}, 2, 0, 0},
		{"tells a repeated event", []uint32{1, 2, 2, 1, 3}, 3, 2, 0},
		{"tells a late event from a repeated one", []uint32{1, 3, 2, 2, 4}, 4, 1, 1},
		{"counts an event that is late twice over once", []uint32{3, 1, 2, 1}, 3, 1, 2},
		{"survives a gap wider than the window", append([]uint32{1, 1000}, 999, 1), 3, 1, 1},
		{"takes an event older than the window for a repeated one", append(slices.Clone(long), 1), 100, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Sequence
			var got [3]int
			for _, n := range tt.numbers {
				got[s.Observe(n)]++
			}
			distinct := got[InOrder] + got[Reordered]
			if distinct != tt.distinct || got[Duplicated] != tt.duplicated || got[Reordered] != tt.reorder {
				t.Errorf("got %d distinct %d duplicated %d reordered, want %d %d %d",
					distinct, got[Duplicated], got[Reordered], tt.distinct, tt.duplicated, tt.reorder)
			}
		})
	}
}

func TestClassify(t *testing.T) {
	tests := []struct {
		payload string
		want    Kind
	}{
		{string(AppendEstablished(nil, "1.1")), KindEstablished},
		{string(AppendSubscribed(nil, "c")), KindSubscribed},
		{`{"event":"pusher:ping"}`, KindPing},
		{`{"event":"pusher:ping","data":{}}`, KindPing},
		{`{"event":"pusher:error","data":{"code":4009}}`, KindError},
		{`{"event":"pusher:subscription_error","channel":"c"}`, KindError},
		{`{"event":"something","data":"x"}`, KindOther},
	}
	for _, tt := range tests {
		if got := Classify([]byte(tt.payload)); got != tt.want {
			t.Errorf("%s: got kind %d, want %d", tt.payload, got, tt.want)
		}
	}
}

// Pusher: HTTP API, "Worked authentication example", and "Generating authentication signatures".
func TestSign(t *testing.T) {
	const key, secret = "278d425bdf160c739803", "7ad3773142a6692b25b8"
	tests := []struct {
		text string
		want string
	}{
		{`1234.1234::user::{"id":"12345"}`, "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"},
		{`1234.1234:private-foobar`, "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"},
		{
			`1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Channels"}}`,
			"31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
		},
	}
	for _, tt := range tests {
		if got := Sign(secret, tt.text); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
	}
	app := App{ID: "3", Key: key, Secret: secret}
	body := []byte(`{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`)
	want := "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f" +
		"&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
	if got := app.Query(app.EventsPath(), body, 1353088179); got != want {
		t.Errorf("got query %s, want %s", got, want)
	}
	request := string(app.AppendPost(nil, "h:1", "/prefix", app.EventsPath(), body, 1353088179))
	if want := "POST /prefix/apps/3/events?" + want + " HTTP/1.1\r\nHost: h:1\r\n"; !strings.HasPrefix(request, want) {
		t.Errorf("got request %q, want it to start with %q", request, want)
	}
}

func TestNextResponse(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
	for at := range len(whole) {
		if r, err := NextResponse([]byte(whole[:at])); err != nil || r.Bytes != 0 {
			t.Fatalf("first %d bytes: got %+v %v, want an incomplete response", at, r, err)
		}
	}
	r, err := NextResponse([]byte(whole + "HTTP/1.1 4"))
	if err != nil || r.Status != 200 || string(r.Body) != "{}" || r.Bytes != len(whole) || r.Last {
		t.Errorf("got %+v %v, want 200 with body {} in %d bytes", r, err, len(whole))
	}
	for _, bad := range []string{
		"SSH-2.0-x\r\n\r\n", "HTTP/1.1 2xx OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", strings.Repeat("x", MaxHeadBytes+1),
	} {
		if r, err := NextResponse([]byte(bad)); err == nil {
			t.Errorf("%.30q: got %+v, want an error", bad, r)
		}
	}
}

func TestParseApp(t *testing.T) {
	got, err := ParseApp("1:key:secret")
	if want := (App{"1", "key", "secret"}); err != nil || got != want {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1:key", "1::secret", "1:k:s:x"} {
		if got, err := ParseApp(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, got)
		}
	}
}
