package loop_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"testing"
	"time"

	"resound/loop"
)

// TestTLSKeyUpdatesThatNobodyReads has a client ask for new keys again and again and
// read no answer: what waits for it is bounded like everything else. The client's buffers are
// the kernel's: with less room than it has advertised, Linux takes no acknowledgement any more.
func TestTLSKeyUpdatesThatNobodyReads(t *testing.T) {
	e, _, addr := startTLS(t, loop.Options{MaxOutboundBytes: 16 << 10})
	spectator, c := dialTCP(t, addr), dialTCP(t, addr)
	for _, raw := range []net.Conn{spectator, c} {
		// Thousands of new keys take their time on a busy host.
		if err := raw.SetDeadline(time.Now().Add(10 * patience)); err != nil {
			t.Fatal(err)
		}
	}
	healthy := openTLS(t, spectator, clientTLS(), "healthy")
	var keys bytes.Buffer
	o := clientTLS()
	o.KeyLogWriter, o.MinVersion = &keys, tls.VersionTLS13
	secure := tls.Client(c, o)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if suite := secure.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the cipher suite is %s, which the test cannot speak", tls.CipherSuiteName(suite))
	}
	client := &sealer{secret: loggedSecret(t, keys.Bytes(), "CLIENT_TRAFFIC_SECRET_0")}
	send(t, c, client.seal(t, typeApplicationData, []byte(handshake)))
	const most = 400_000 // 10 MB of answers
	asked := 0
	for ; asked < most; asked += 10 {
		var records []byte
		for range 10 {
			records = append(records, client.keyUpdate(t)...)
		}
		// crypto/tls wants some data between them, which need not be answered.
		records = append(records, client.seal(t, typeApplicationData, masked(0xA, true, ""))...)
		if _, err := c.Write(records); err != nil {
			break
		}
	}
	if asked == most {
		t.Errorf("%d key updates were taken in without one answer being read", asked)
	}
	if got := e.Stats().Slow; got != 1 {
		t.Errorf("%d counted as too slow, want 1", got)
	}
	echoes(t, healthy)
}

// loggedSecret finds a secret among "LABEL RANDOM SECRET" lines.
func loggedSecret(t *testing.T, log []byte, label string) []byte {
	t.Helper()
	for line := range bytes.Lines(log) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == label {
			secret, err := hex.DecodeString(string(f[2]))
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatalf("no %s in %q", label, log)
	return nil
}

// Types of content.
//
// RFC 8446 section 5.1.
const (
	typeHandshake       = 22
	typeApplicationData = 23
)

// sealer makes the records of a client.
type sealer struct {
	secret   []byte
	sequence uint64
}

// seal makes a record.
//
// RFC 8446 section 5.2.
func (s *sealer) seal(t *testing.T, kind byte, content []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(expandLabel(t, s.secret, "key", 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := expandLabel(t, s.secret, "iv", aead.NonceSize())
	last := nonce[len(nonce)-8:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^s.sequence)
	s.sequence++
	plain := append(append([]byte(nil), content...), kind)
	header := binary.BigEndian.AppendUint16([]byte{0x17, 3, 3}, uint16(len(plain)+aead.Overhead()))
	return aead.Seal(header, nonce, plain, header)
}

// keyUpdate makes a record that asks for an update in return.
//
// RFC 8446 section 4.6.3.
func (s *sealer) keyUpdate(t *testing.T) []byte {
	t.Helper()
	record := s.seal(t, typeHandshake, []byte{24, 0, 0, 1, 1})
	s.secret, s.sequence = expandLabel(t, s.secret, "traffic upd", sha256.Size), 0
	return record
}

// expandLabel is HKDF-Expand-Label without context.
//
// RFC 8446 section 7.1.
func expandLabel(t *testing.T, secret []byte, label string, length int) []byte {
	t.Helper()
	label = "tls13 " + label
	about := binary.BigEndian.AppendUint16(nil, uint16(length))
	about = append(append(append(about, byte(len(label))), label...), 0)
	key, err := hkdf.Expand(sha256.New, secret, string(about), length)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
