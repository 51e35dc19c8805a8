package frame_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"resound/frame"
)

// request is an opening handshake with nothing to object to. Its key is the one
// of RFC 6455 section 1.3.
const request = "GET /app/key?protocol=7 HTTP/1.1\r\n" +
	"Host: example.test\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n\r\n"

// handshakes are changes to request: from is replaced by to. status 0 means that
// the handshake is still good.
var handshakes = []struct {
	name, source, from, to string
	status                 int
	header                 string // extra header lines of the answer
}{
	{"nothing changed", "RFC 6455 section 4.2.1", "", "", 0, ""},

	{"method is POST", "RFC 6455 section 4.1 item 2", "GET ", "POST ", 405, "Allow: GET\r\n"},
	{"method is HEAD", "RFC 6455 section 4.1 item 2", "GET ", "HEAD ", 405, "Allow: GET\r\n"},
	{"method in lower case is another method", "RFC 9110 section 9.1", "GET ", "get ", 405, "Allow: GET\r\n"},
	{"method is not a token", "RFC 9110 section 5.6.2", "GET ", "G(T ", 400, ""},
	{"method is empty", "RFC 9112 section 3", "GET ", " ", 400, ""},
	{"request line is empty", "RFC 9112 section 3", "GET /app/key?protocol=7 HTTP/1.1", "", 400, ""},
	{"request line has no version", "RFC 9112 section 3", " HTTP/1.1", "", 400, ""},
	{"request line has two spaces", "RFC 9112 section 3", "GET ", "GET  ", 400, ""},
	{"request line ends in a space", "RFC 9112 section 3", "HTTP/1.1", "HTTP/1.1 ", 400, ""},

	{"HTTP 1.0", "RFC 6455 section 4.2.1 item 1", "HTTP/1.1", "HTTP/1.0", 505, ""},
	{"HTTP 2.0", "RFC 6455 section 4.2.1 item 1", "HTTP/1.1", "HTTP/2.0", 505, ""},
	{"HTTP 0.9", "RFC 6455 section 4.2.1 item 1", "HTTP/1.1", "HTTP/0.9", 505, ""},
	{"HTTP 1.2 is at least 1.1", "RFC 6455 section 4.2.1 item 1", "HTTP/1.1", "HTTP/1.2", 0, ""},
	{"version in lower case", "RFC 9112 section 2.3", "HTTP/1.1", "http/1.1", 400, ""},
	{"version with two digits", "RFC 9112 section 2.3", "HTTP/1.1", "HTTP/1.10", 400, ""},
	{"version with a letter", "RFC 9112 section 2.3", "HTTP/1.1", "HTTP/1.x", 400, ""},

	{"target is not ASCII", "RFC 6455 section 4.2.1 item 1", "/app/key", "/app/k\xc3\xa9y", 400, ""},
	{"target holds a control character", "RFC 3986 section 2", "/app/key", "/app/k\x01y", 400, ""},
	{"target holds DEL", "RFC 3986 section 2", "/app/key", "/app/k\x7fy", 400, ""},
	{"target is a star", "RFC 6455 section 4.2.1 item 1", "/app/key?protocol=7", "*", 400, ""},
	{"target is an authority", "RFC 6455 section 4.2.1 item 1", "/app/key?protocol=7", "example.test:80", 400, ""},
	{"target is a whole URL", "RFC 6455 section 4.2.1 item 1", "/app/key", "http://example.test/app/key", 400, ""},

	{"no Host", "RFC 6455 section 4.2.1 item 2", "Host: example.test\r\n", "", 400, ""},
	{"two Hosts", "RFC 9112 section 3.2", "Host: example.test\r\n", "Host: example.test\r\nHost: example.test\r\n", 400, ""},
	{"Host is empty", "RFC 6455 section 4.2.1 item 2", "Host: example.test", "Host:", 400, ""},
	{"Host is white space", "RFC 6455 section 4.2.1 item 2", "Host: example.test", "Host: \t ", 400, ""},

	{"no Upgrade", "RFC 6455 section 4.2.1 item 3", "Upgrade: websocket\r\n", "", 426, "Upgrade: websocket\r\n"},
	{"Upgrade to something else", "RFC 6455 section 4.2.1 item 3", "Upgrade: websocket", "Upgrade: h2c", 426, "Upgrade: websocket\r\n"},
	{"Upgrade merely begins with websocket", "RFC 6455 section 4.2.1 item 3", "Upgrade: websocket", "Upgrade: websockets", 426, "Upgrade: websocket\r\n"},
	{"Upgrade is a list with websocket", "RFC 9110 section 7.8", "Upgrade: websocket", "Upgrade: h2c,\tWebSocket , x", 0, ""},
	{"Upgrade in two lines", "RFC 9110 section 5.3", "Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket", 0, ""},
	{"Upgrade in capitals", "RFC 6455 section 4.2.1 item 3", "Upgrade: websocket", "UPGRADE: WEBSOCKET", 0, ""},

	{"no Connection", "RFC 6455 section 4.2.1 item 4", "Connection: Upgrade\r\n", "", 400, ""},
	{"Connection keep-alive", "RFC 6455 section 4.2.1 item 4", "Connection: Upgrade", "Connection: keep-alive", 400, ""},
	{"Connection is a list with Upgrade, as browsers send", "RFC 6455 section 4.2.1 item 4", "Connection: Upgrade", "Connection: keep-alive, Upgrade", 0, ""},
	{"Connection upgrade in lower case", "RFC 6455 section 4.2.1 item 4", "Connection: Upgrade", "connection: upgrade", 0, ""},
	{"Connection list with empty members", "RFC 9110 section 5.6.1", "Connection: Upgrade", "Connection: ,, Upgrade ,", 0, ""},

	{"no key", "RFC 6455 section 4.2.1 item 5", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, ""},
	{"two keys", "RFC 6455 section 11.3.1", "Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key", 400, ""},
	{"key is empty", "RFC 6455 section 4.2.1 item 5", "dGhlIHNhbXBsZSBub25jZQ==", "", 400, ""},
	{"key of 15 bytes", "RFC 6455 section 4.2.1 item 5", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", 400, ""},
	{"key of 17 bytes", "RFC 6455 section 4.2.1 item 5", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWE=", 400, ""},
	{"key of 18 bytes", "RFC 6455 section 4.2.1 item 5", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWFh", 400, ""},
	{"key is not base64", "RFC 6455 section 4.2.1 item 5", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q==", 400, ""},
	{"key lost its padding", "RFC 6455 section 4.2.1 item 5", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", 400, ""},

	{"no version", "RFC 6455 section 4.2.1 item 6", "Sec-WebSocket-Version: 13\r\n", "", 426, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"},
	{"two versions", "RFC 6455 section 11.3.5", "Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", 426, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"},
	{"version 8", "RFC 6455 section 4.4", "Version: 13", "Version: 8", 426, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"},
	{"version 13 of a list", "RFC 6455 section 4.4", "Version: 13", "Version: 13, 8", 426, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"},
	{"version 013", "RFC 6455 section 4.1 item 9", "Version: 13", "Version: 013", 426, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"},

	{"body announced by length", "RFC 6455 section 4.1", "Host:", "Content-Length: 5\r\nHost:", 400, ""},
	{"body announced by an unreadable length", "RFC 9110 section 8.6", "Host:", "Content-Length: +0\r\nHost:", 400, ""},
	{"second length announces a body", "RFC 9110 section 8.6", "Host:", "Content-Length: 5\r\nContent-Length: 0\r\nHost:", 400, ""},
	{"body announced by transfer coding", "RFC 6455 section 4.1", "Host:", "Transfer-Encoding: chunked\r\nHost:", 400, ""},
	{"body of no length", "RFC 9110 section 8.6", "Host:", "Content-Length: 0\r\nHost:", 0, ""},

	{"folded line", "RFC 9112 section 5.2", "Host: example.test", "Host: example.test\r\n folded", 400, ""},
	{"folded line after the request line", "RFC 9112 section 2.2", "HTTP/1.1\r\n", "HTTP/1.1\r\n X: y\r\n", 400, ""},
	{"bare LF after the request line", "RFC 9112 section 2.2", "HTTP/1.1\r\n", "HTTP/1.1\n", 400, ""},
	{"bare LF after a header", "RFC 9112 section 2.2", "example.test\r\n", "example.test\n", 400, ""},
	{"bare CR in a value", "RFC 9112 section 2.2", "example.test", "example\rtest", 400, ""},
	{"NUL in a value", "RFC 9110 section 5.5", "example.test", "example\x00test", 400, ""},
	{"NUL in a name", "RFC 9110 section 5.1", "Host:", "X\x00: y\r\nHost:", 400, ""},
	{"space before the colon", "RFC 9112 section 5.1", "Host:", "Host :", 400, ""},
	{"empty name", "RFC 9110 section 5.1", "Host:", ": y\r\nHost:", 400, ""},
	{"line without a colon", "RFC 9112 section 5", "Host:", "nonsense\r\nHost:", 400, ""},
	{"name beyond ASCII", "RFC 9110 section 5.1", "Host:", "X\xc3\xa9: y\r\nHost:", 400, ""},
	{"value beyond ASCII", "RFC 9110 section 5.5", "Host:", "X: \xc3\xa9\r\nHost:", 0, ""},
	{"tab in a value", "RFC 9110 section 5.5", "Host:", "X: a\tb\r\nHost:", 0, ""},
	{"100 headers", "MaxHeaders", "Host:", strings.Repeat("X: y\r\n", frame.MaxHeaders-5) + "Host:", 0, ""},
	{"101 headers", "MaxHeaders", "Host:", strings.Repeat("X: y\r\n", frame.MaxHeaders-4) + "Host:", 431, ""},

	{"extensions offered", "RFC 6455 section 9.1", "Host:", "Sec-WebSocket-Extensions: permessage-deflate\r\nHost:", 0, ""},
	{"subprotocol offered", "RFC 6455 section 4.2.1 item 8", "Host:", "Sec-WebSocket-Protocol: chat\r\nHost:", 0, ""},
}

func TestParseRequest(t *testing.T) {
	for _, row := range handshakes {
		t.Run(row.name, func(t *testing.T) {
			if !strings.Contains(request, row.from) {
				t.Fatalf("the request has no %q to replace", row.from)
			}
			head := strings.Replace(request, row.from, row.to, 1)
			_, got := frame.ParseRequest([]byte(head))
			if row.status == 0 {
				if got != nil {
					t.Fatalf("got %v, want it accepted (%s)", got, row.source)
				}
				return
			}
			if got == nil {
				t.Fatalf("accepted, want status %d (%s)", row.status, row.source)
			}
			if got.Status != row.status || got.Header != row.header {
				t.Errorf("got %d with %q, want %d with %q (%s)", got.Status, got.Header, row.status, row.header, row.source)
			}
		})
	}
}

func TestParseRequestViews(t *testing.T) {
	head := "GET /app/key?protocol=7&a=? HTTP/1.1\r\nhost:\t example.test:8080 \r\nOrigin: https://a.test\r\n" +
		"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\r\nUser-Agent: test/1\r\n" +
		strings.SplitN(request, "\r\n", 3)[2]
	req, rejection := frame.ParseRequest([]byte(head))
	if rejection != nil {
		t.Fatal(rejection)
	}
	for _, row := range []struct {
		name string
		got  []byte
		want string
	}{
		{"path", req.Path, "/app/key"},
		{"query", req.Query, "protocol=7&a=?"},
		{"host", req.Host, "example.test:8080"},
		{"origin", req.Origin, "https://a.test"},
		{"X-Forwarded-For lines", bytes.Join(req.ForwardedFor, []byte(" | ")), "10.0.0.1 | 10.0.0.2, 10.0.0.3"},
		{"user agent", req.UserAgent, "test/1"},
	} {
		if string(row.got) != row.want {
			t.Errorf("%s: got %q, want %q", row.name, row.got, row.want)
		}
	}
}

func TestHeadLen(t *testing.T) {
	for _, row := range []struct {
		name, view string
		want       int
	}{
		{"nothing", "", 0},
		{"all but the last byte", request[:len(request)-1], 0},
		{"whole", request, len(request)},
		{"a frame behind it", request + "\x81\x80", len(request)},
		{"lines ended by bare LF never end", "GET / HTTP/1.1\n\n", 0},
		{"CRLF LF is no end", "GET / HTTP/1.1\r\n\n", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := frame.HeadLen([]byte(row.view)); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

// TestAccept has the key and its answer of RFC 6455 section 1.3.
func TestAccept(t *testing.T) {
	req, rejection := frame.ParseRequest([]byte(request))
	if rejection != nil {
		t.Fatal(rejection)
	}
	got := frame.AppendAccept([]byte("before"), &req)
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got[len("before"):])), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 101 {
		t.Errorf("got status %d, want 101", resp.StatusCode)
	}
	for name, want := range map[string]string{
		"Upgrade":                  "websocket",
		"Connection":               "Upgrade",
		"Sec-Websocket-Accept":     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-Websocket-Protocol":   "",
		"Sec-Websocket-Extensions": "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestAppendRejection(t *testing.T) {
	_, version := frame.ParseRequest([]byte(strings.Replace(request, "Version: 13", "Version: 8", 1)))
	for _, r := range []*frame.Rejection{frame.RejectTooLarge, frame.RejectTimeout, frame.RejectUnavailable, version} {
		t.Run(strconv.Itoa(r.Status), func(t *testing.T) {
			stream := bufio.NewReader(bytes.NewReader(append(frame.AppendRejection(nil, r), "tail"...)))
			resp, err := http.ReadResponse(stream, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != r.Text {
				t.Errorf("got body %q, %v, want %q", body, err, r.Text)
			}
			if got, want := resp.Status, strconv.Itoa(r.Status)+" "+r.Phrase; got != want {
				t.Errorf("got status %q, want %q", got, want)
			}
			if !resp.Close {
				t.Error("the answer does not say that the connection closes")
			}
			var lines strings.Builder
			for line := range strings.Lines(r.Header) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				if got := resp.Header.Get(name); got != value {
					t.Errorf("%s: got %q, want %q", name, got, value)
				}
				lines.WriteString(line)
			}
			if lines.String() != r.Header {
				t.Errorf("extra header %q is not made of lines", r.Header)
			}
			if rest, _ := io.ReadAll(stream); string(rest) != "tail" {
				t.Errorf("%q is left behind the answer, want only what was put there", rest)
			}
		})
	}
}

// FuzzHandshake checks that no head panics, that accepting it does not depend on
// anything but its bytes, and that net/http finds the same demands met in every
// head that is accepted.
func FuzzHandshake(f *testing.F) {
	for _, row := range handshakes {
		f.Add([]byte(strings.Replace(request, row.from, row.to, 1)))
	}
	f.Add([]byte("GET //a/b?c HTTP/1.1\r\n" + strings.SplitN(request, "\r\n", 2)[1]))
	f.Fuzz(func(t *testing.T, view []byte) {
		_, _ = frame.ParseRequest(view) // whatever it is
		n := frame.HeadLen(view)
		if n == 0 {
			return
		}
		head := view[:n]
		req, rejection := frame.ParseRequest(head)
		again, rejectionAgain := frame.ParseRequest(bytes.Clone(head))
		if rejection != rejectionAgain {
			t.Fatalf("first %v, then %v", rejection, rejectionAgain)
		}
		if rejection != nil {
			return
		}
		first, second := frame.AppendAccept(nil, &req), frame.AppendAccept(nil, &again)
		if !bytes.Equal(first, second) || !bytes.Equal(req.Path, again.Path) || !bytes.Equal(req.Query, again.Query) {
			t.Fatalf("first %q %q?%q, then %q %q?%q", first, req.Path, req.Query, second, again.Path, again.Query)
		}

		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			// The path is judged by who routes it; here it is bytes.
			if strings.Contains(err.Error(), "parse ") {
				return
			}
			t.Fatalf("net/http: %v", err)
		}
		if std.Method != http.MethodGet || !std.ProtoAtLeast(1, 1) || std.Host != string(req.Host) ||
			std.Header.Get("Sec-WebSocket-Version") != "13" || len(std.Header.Values("Sec-WebSocket-Key")) != 1 ||
			std.ContentLength != 0 || len(std.TransferEncoding) != 0 {
			t.Fatalf("net/http reads %+v", std)
		}
		if !strings.Contains(strings.ToLower(strings.Join(std.Header.Values("Connection"), ",")), "upgrade") ||
			!strings.Contains(strings.ToLower(strings.Join(std.Header.Values("Upgrade"), ",")), "websocket") {
			t.Fatalf("net/http reads no upgrade: %v", std.Header)
		}
		if got := string(req.Path); std.RequestURI != got && std.RequestURI != got+"?"+string(req.Query) {
			t.Fatalf("path %q and query %q of target %q", got, req.Query, std.RequestURI)
		}
	})
}
