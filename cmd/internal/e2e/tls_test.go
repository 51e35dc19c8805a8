package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// issue writes a certificate for 127.0.0.1, which is its own authority, and its
// key to dir.
func issue(t *testing.T, dir string, number int64) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(leaf)
	return certFile, keyFile, pool
}

// setSecureStage is setStage behind TLS.
func setSecureStage(t *testing.T) *stage {
	t.Helper()
	needPackages(t)
	certFile, keyFile, pool := issue(t, t.TempDir(), 1)
	o := startOptions{secure: pool, env: map[string]string{
		"RESOUND_OPTIONS_TLS_LOCAL_CERT": certFile, "RESOUND_OPTIONS_TLS_LOCAL_PK": keyFile,
	}}
	a := serveApplication(t, testApp)
	return &stage{
		server: start(t, o), options: o, application: a, auth: a.URL,
		driver: drive(t, "client.mjs", "NODE_EXTRA_CA_CERTS="+certFile),
	}
}

// overTLS are the options of a pusher-js that uses TLS.
func (s *stage) overTLS(user string, transports ...string) arguments {
	options := s.as(user)
	options["forceTLS"], options["wssPort"], options["httpsPort"] = true, s.server.port, s.server.port
	options["enabledTransports"] = transports
	return options
}

func TestPusherJSOverTLS(t *testing.T) {
	t.Parallel()
	s := setSecureStage(t)
	s.backend(t)
	for transport, names := range map[string][]string{"wss": {"ws", "wss"}, "xhr_streaming": {"xhr_streaming"}} {
		t.Run(transport, func(t *testing.T) {
			ann := "ann " + transport
			s.pusher(t, ann, testApp.key, s.overTLS("ann", names...))
			s.subscribeRaw(t, ann, "private-news")
			s.call(t, `{}`, "trigger", "private-news", "Happened", map[string]any{"over": transport})
			if got := s.expectEvent(t, ann, "private-news", "Happened"); !sameJSON(string(got.Value), `{"over":"`+transport+`"}`) {
				t.Errorf("got %s", got.Value)
			}
			s.do(t, "disconnect", arguments{"client": ann})
		})
	}
}

func TestCertificateIsReplacedWhileConnectionsStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, first := issue(t, dir, 1)
	s := start(t, startOptions{secure: first, env: map[string]string{
		"RESOUND_OPTIONS_TLS_LOCAL_CERT": certFile, "RESOUND_OPTIONS_TLS_LOCAL_PK": keyFile,
	}})
	serial := func(pool *x509.CertPool) int64 {
		c, err := tls.Dial("tcp", s.address(), &tls.Config{RootCAs: pool})
		if err != nil {
			return 0 // not believed
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(first); got != 1 {
		t.Fatalf("certificate %d, want 1", got)
	}
	old, err := tls.Dial("tcp", s.address(), &tls.Config{RootCAs: first})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	_, _, second := issue(t, dir, 2)
	eventually(t, "the new certificate is served", func() bool { return serial(second) == 2 })
	if err := old.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Write([]byte("GET /up HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Read(make([]byte, 1)); err != nil {
		t.Errorf("the old connection: %v", err)
	}
}
