package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestTrustedPeer(t *testing.T) {
	for _, row := range []struct {
		trusted []netip.Prefix
		peer    string
		want    bool
	}{
		{nil, "127.0.0.1", false},
		{prefixes("10.0.0.0/8"), "10.1.2.3", true},
		{prefixes("10.0.0.0/8"), "11.1.2.3", false},
		{prefixes("10.0.0.0/8", "fe80::/10"), "fe80::1%eth0", true},
		{prefixes("0.0.0.0/0"), "2001:db8::1", true},
	} {
		trusted := NewTrusted(row.trusted)
		if got := trusted.Peer(netip.MustParseAddr(row.peer)); got != row.want {
			t.Errorf("%v trusts %s: got %t, want %t", row.trusted, row.peer, got, row.want)
		}
	}
	everybody := NewTrusted(prefixes("::/0"))
	if everybody.Peer(netip.Addr{}) {
		t.Error("no address is trusted")
	}
}

func TestClient(t *testing.T) {
	for _, row := range []struct {
		name  string
		lines string // separated by |
		want  string
	}{
		{"one", "203.0.113.7", "203.0.113.7:0"},
		{"what the client wrote does not count", "1.1.1.1, 203.0.113.7", "203.0.113.7:0"},
		{"proxies of ours are passed over", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7:0"},
		{"across lines", "1.1.1.1|203.0.113.7|10.0.0.3, 10.0.0.2", "203.0.113.7:0"},
		{"nothing but proxies", "10.0.0.3, 10.0.0.2", "10.0.0.3:0"},
		{"a port", "203.0.113.7:4711", "203.0.113.7:4711"},
		{"IPv6", "2001:db8::1", "[2001:db8::1]:0"},
		{"IPv6 in brackets", "[2001:db8::1]", "[2001:db8::1]:0"},
		{"IPv6 with a port", "[2001:db8::1]:4711", "[2001:db8::1]:4711"},
		{"IPv4 in IPv6", "::ffff:203.0.113.7", "203.0.113.7:0"},
		{"a proxy in IPv6", "203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7:0"},
		{"no comma of a space", "203.0.113.7 10.0.0.2", ""},
		{"behind garbage nobody is known", "203.0.113.7, unknown", ""},
		{"garbage behind a proxy", "unknown, 10.0.0.2", "10.0.0.2:0"},
		{"an empty entry", "203.0.113.7,", ""},
		{"an empty line", "", ""},
		{"IPv4 in brackets", "[203.0.113.7]", ""},
		{"a long one", strings.Repeat("1", 5000), ""},
	} {
		trusted := NewTrusted(prefixes("10.0.0.0/8", "0.0.0.0/0"))
		var lines [][]byte
		for line := range strings.SplitSeq(row.lines, "|") {
			lines = append(lines, []byte(line))
		}
		got := trusted.Client(lines)
		if text := got.String(); got.IsValid() && text != row.want || !got.IsValid() && row.want != "" {
			t.Errorf("%s: got %s, want %q", row.name, text, row.want)
		}
	}
}

// header returns one of version 2.
func header(versionCommand, family byte, body ...byte) []byte {
	b := append(bytes.Clone(binarySignature), versionCommand, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

var (
	body4 = []byte{203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 0x01, 0xbb}
	body6 = append(append(netip.MustParseAddr("2001:db8::1").AsSlice(), make([]byte, 16)...), 0x12, 0x67, 0x01, 0xbb)
	// mapped is an IPv4 address told as one of IPv6.
	mapped = append(append(netip.MustParseAddr("::ffff:203.0.113.7").AsSlice(), make([]byte, 16)...), 0x12, 0x67, 0x01, 0xbb)
)

var headers = []struct {
	name   string
	header []byte
	want   string // client; empty: none is told
	err    string
}{
	{"TCP4", []byte("PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"), "203.0.113.7:4711", ""},
	{"TCP6", []byte("PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n"), "[2001:db8::1]:4711", ""},
	{"TCP6 with IPv4", []byte("PROXY TCP6 ::ffff:203.0.113.7 ::1 4711 443\r\n"), "203.0.113.7:4711", ""},
	{"unknown", []byte("PROXY UNKNOWN\r\n"), "", ""},
	{"unknown with more", []byte("PROXY UNKNOWN ffff::1 ::2 1 2\r\n"), "", ""},
	{"longest", []byte("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), "", ""},
	{"too long", []byte("PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n"), "", "exceeds 107 bytes"},
	{"too long without an end", []byte("PROXY UNKNOWN " + strings.Repeat("x", 200)), "", "exceeds 107 bytes"},
	{"UDP4", []byte("PROXY UDP4 203.0.113.7 192.0.2.1 4711 443\r\n"), "", "is not TCP4 or TCP6"},
	{"a field too few", []byte("PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n"), "", "is not TCP4 or TCP6"},
	{"a space too many", []byte("PROXY TCP4  203.0.113.7 192.0.2.1 4711 443\r\n"), "", "is not TCP4 or TCP6"},
	{"of the other family", []byte("PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n"), "", "not of its family"},
	{"with a zone", []byte("PROXY TCP6 fe80::1%eth0 ::2 4711 443\r\n"), "", "not of its family"},
	{"a name", []byte("PROXY TCP4 localhost 192.0.2.1 4711 443\r\n"), "", "not of its family"},
	{"port too large", []byte("PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n"), "", "is not 0 to 65535"},
	{"port with a zero before", []byte("PROXY TCP4 203.0.113.7 192.0.2.1 0443 443\r\n"), "", "is not 0 to 65535"},
	{"port with a sign", []byte("PROXY TCP4 203.0.113.7 192.0.2.1 +443 443\r\n"), "", "is not 0 to 65535"},
	{"second port wrong", []byte("PROXY TCP4 203.0.113.7 192.0.2.1 443 x\r\n"), "", "is not 0 to 65535"},

	{"v2", header(0x21, 0x11, body4...), "203.0.113.7:4711", ""},
	{"v2 of UDP", header(0x21, 0x12, body4...), "203.0.113.7:4711", ""},
	{"v2 of IPv6", header(0x21, 0x21, body6...), "[2001:db8::1]:4711", ""},
	{"v2 of IPv4 in IPv6", header(0x21, 0x21, mapped...), "203.0.113.7:4711", ""},
	{"v2 with more behind", header(0x21, 0x11, append(bytes.Clone(body4), 4, 0, 1, 0)...), "203.0.113.7:4711", ""},
	{"v2 local", header(0x20, 0x00), "", ""},
	{"v2 local with an address", header(0x20, 0x11, body4...), "", ""},
	{"v2 not told", header(0x21, 0x00, 1, 2, 3), "", ""},
	{"v2 of a Unix socket", header(0x21, 0x31, make([]byte, 216)...), "", ""},
	{"v2 largest", header(0x21, 0x11, append(bytes.Clone(body4), make([]byte, MaxHeaderBytes-28)...)...), "203.0.113.7:4711", ""},
	{"v2 too large", header(0x21, 0x11, append(bytes.Clone(body4), make([]byte, MaxHeaderBytes-27)...)...), "", "4096 is the most"},
	{"v2 with too little", header(0x21, 0x11, body4[:11]...), "", "want 28 or more"},
	{"v2 of IPv6 with too little", header(0x21, 0x21, body4...), "", "want 52 or more"},
	{"v2 of another version", header(0x31, 0x11, body4...), "", "version and command 0x31"},
	{"v2 of another command", header(0x22, 0x11, body4...), "", "version and command 0x22"},
	{"v2 of another family", header(0x21, 0x41, body4...), "", "address family 0x41"},

	{"HTTP", []byte("GET / HTTP/1.1\r\n"), "", ErrNone.Error()},
	{"HTTP that begins alike", []byte("PROPFIND / HTTP/1.1\r\n"), "", ErrNone.Error()},
	{"TLS", []byte("\x16\x03\x01"), "", ErrNone.Error()},
	{"other case", []byte("proxy UNKNOWN\r\n"), "", ErrNone.Error()},
}

// TestReadHeader also cuts each header at every byte: nothing is decided too early
// and nothing otherwise.
func TestReadHeader(t *testing.T) {
	for _, row := range headers {
		t.Run(row.name, func(t *testing.T) {
			const behind = "GET / HTTP/1.1\r\n\r\n"
			h, err := ReadHeader(append(bytes.Clone(row.header), behind...))
			switch {
			case row.err != "":
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("got error %v, want %q", err, row.err)
				}
				return
			case err != nil || h.Size != len(row.header) || h.Client.IsValid() != (row.want != "") || row.want != "" && h.Client.String() != row.want:
				t.Fatalf("got %+v, %v, want %d bytes and %q", h, err, len(row.header), row.want)
			}
			for n := range row.header {
				if _, err := ReadHeader(row.header[:n]); !errors.Is(err, ErrIncomplete) {
					t.Errorf("cut at %d: got %v, want it to be incomplete", n, err)
				}
			}
		})
	}
}

// FuzzReadHeader: what is behind a header changes nothing, a part of one is
// incomplete, and an error stays one whatever comes.
func FuzzReadHeader(f *testing.F) {
	for _, row := range headers {
		f.Add(row.header, uint(3))
	}
	f.Fuzz(func(t *testing.T, view []byte, cut uint) {
		h, err := ReadHeader(view)
		part, partErr := ReadHeader(view[:cut%uint(len(view)+1)])
		if err == nil {
			if h.Size < len("PROXY UNKNOWN\r\n") || h.Size > min(len(view), MaxHeaderBytes) || h.Client.Addr().Is4In6() {
				t.Fatalf("got %+v of %d bytes", h, len(view))
			}
			if again, err := ReadHeader(view[:h.Size]); again != h || err != nil {
				t.Fatalf("alone it is %+v, %v, want %+v", again, err, h)
			}
			if _, err := ReadHeader(view[:h.Size-1]); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("without its last byte: %v", err)
			}
		}
		if partErr == nil && part != h || partErr != nil && !errors.Is(partErr, ErrIncomplete) && (err == nil || errors.Is(err, ErrIncomplete)) {
			t.Fatalf("a part is %+v, %v, the whole %+v, %v", part, partErr, h, err)
		}
		if errors.Is(err, ErrIncomplete) && len(view) >= MaxHeaderBytes {
			t.Fatal("it may grow without end")
		}
	})
}

// FuzzClient: the answer is the entry behind which there are only proxies of ours.
func FuzzClient(f *testing.F) {
	f.Add([]byte("1.1.1.1, 203.0.113.7"), []byte("10.0.0.2"))
	f.Add([]byte("[::1]:1"), []byte(",,"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		trusted := NewTrusted(prefixes("10.0.0.0/8", "fd00::/8"))
		got := trusted.Client([][]byte{one, two})
		if whole := trusted.Client([][]byte{bytes.Join([][]byte{one, two}, []byte(","))}); whole != got {
			t.Fatalf("in two lines it is %v, in one %v", got, whole)
		}
		if got.IsValid() && !trusted.listed(got.Addr()) {
			// A word of the client's before it must change nothing.
			forged := append([]byte("192.0.2.66,"), one...)
			if again := trusted.Client([][]byte{forged, two}); again != got {
				t.Fatalf("the client can make itself %v, it is %v", again, got)
			}
		}
	})
}

func TestKeyOf(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"203.0.113.7", "203.0.113.7", true},
		{"203.0.113.7", "::ffff:203.0.113.7", true},
		{"203.0.113.7", "203.0.113.8", false},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"0.0.0.0", "255.255.255.255", false},
	} {
		a, b := KeyOf(netip.MustParseAddr(row.a)), KeyOf(netip.MustParseAddr(row.b))
		if (a == b) != row.same || a == 0 {
			t.Errorf("%s and %s: got %#x and %#x, want the same: %t", row.a, row.b, a, b, row.same)
		}
	}
}

func TestTable(t *testing.T) {
	one, two := KeyOf(netip.MustParseAddr("203.0.113.1")), KeyOf(netip.MustParseAddr("203.0.113.2"))
	var table Table
	enter := func(k Key, l Limits, second uint32) string {
		v, held := table.Enter(k, l, second)
		return fmt.Sprint(v, held)
	}
	expect := func(want string, got ...string) {
		t.Helper()
		if strings.Join(got, ", ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	c := Limits{Connections: 1}
	expect("0 true, 1 true, 2 false, 0 true", enter(one, c, 0), enter(one, c, 0), enter(one, c, 0), enter(two, c, 0))
	table.Leave(one)
	table.Leave(one)
	expect("0 true", enter(one, c, 0))
	if got := table.Addresses(); got != 2 {
		t.Errorf("%d addresses, want 2", got)
	}
	table.Leave(one)
	table.Leave(two)
	table.Leave(two) // once too often makes nobody richer
	expect("0 true, 1 true", enter(two, c, 0), enter(two, c, 0))

	h := Limits{HandshakesPerSecond: 1}
	expect("0 false, 1 false, 2 false, 0 false", enter(one, h, 1), enter(one, h, 1), enter(one, h, 1), enter(one, h, 2))
	both := Limits{Connections: 1, HandshakesPerSecond: 2}
	expect("0 true, 1 true, 1 true, 1 true", enter(one, both, 3), enter(one, both, 3), enter(one, Limits{Connections: 2, HandshakesPerSecond: 2}, 3), enter(one, Limits{Connections: 3, HandshakesPerSecond: 2}, 3))
}

// TestTableIsBounded: many addresses in one second cost no more than maxBegun.
func TestTableIsBounded(t *testing.T) {
	var table Table
	for i := range Key(3*maxBegun + 7) {
		table.Enter(i, Limits{HandshakesPerSecond: 1}, 1)
		if len(table.begun) > maxBegun {
			t.Fatalf("%d addresses are remembered, want at most %d", len(table.begun), maxBegun)
		}
	}
	if table.Addresses() != 0 {
		t.Error("addresses are held without a limit of connections")
	}
}
