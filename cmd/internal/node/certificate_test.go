package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"

	"resound/cmd/internal/config"
)

// keyPair is a certificate for 127.0.0.1 and its key.
type keyPair struct {
	der []byte
	key *ecdsa.PrivateKey
}

func newKeyPair(t *testing.T, name int64) keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(name), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{der, key}
}

func (p keyPair) cert() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.der}))
}

func (p keyPair) plainKey(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// encryptedKey is what openssl makes of a key with a passphrase.
func (p keyPair) encryptedKey(t *testing.T, passphrase string) string {
	t.Helper()
	der, err := pkcs8.MarshalPrivateKey(p.key, []byte(passphrase), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
}

// legacyKey is what openssl made of it before version 1.0.
func (p keyPair) legacyKey(t *testing.T, passphrase string) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 that is the point
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(passphrase), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func TestCertificates(t *testing.T) {
	p, other := newKeyPair(t, 1), newKeyPair(t, 2)
	for _, row := range []struct {
		name, cert, key, passphrase string
		want                        string // in the error; empty means fine
	}{
		{"two files", p.cert(), p.plainKey(t), "", ""},
		{"both in the certificate's file", p.cert() + p.plainKey(t), "", "", ""},
		{"both in the key's file", "", p.plainKey(t) + p.cert(), "", ""},
		{"a key with a passphrase", p.cert(), p.encryptedKey(t, "open"), "open", ""},
		{"an old key with a passphrase", p.cert(), p.legacyKey(t, "open"), "open", ""},
		{"a passphrase that nothing needs", p.cert(), p.plainKey(t), "open", ""},
		{"no passphrase", p.cert(), p.encryptedKey(t, "open"), "", "the key is encrypted: set options.tls.passphrase"},
		{"a wrong passphrase", p.cert(), p.encryptedKey(t, "open"), "close", "the passphrase does not fit"},
		{"a wrong passphrase of an old key", p.cert(), p.legacyKey(t, "open"), "close", "the passphrase does not fit"},
		{"another certificate's key", p.cert(), other.plainKey(t), "", "private key does not match"},
		{"no certificate in the file", "nothing", p.plainKey(t), "", "failed to find any PEM data in certificate input"},
	} {
		t.Run(row.name, func(t *testing.T) {
			files := config.TLS{Passphrase: row.passphrase}
			dir := t.TempDir()
			if row.cert != "" {
				files.CertFile = write(t, dir, "cert.pem", row.cert)
			}
			if row.key != "" {
				files.KeyFile = write(t, dir, "key.pem", row.key)
			}
			_, err := newCertificate(&config.Server{TLS: files})
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if err != nil && row.passphrase != "" && strings.Contains(err.Error(), row.passphrase) {
				t.Errorf("the passphrase is in the error %v", err)
			}
		})
	}
	if _, err := newCertificate(&config.Server{TLS: config.TLS{CertFile: "/nowhere.pem"}}); err == nil || !strings.Contains(err.Error(), "options.tls.local_cert: /nowhere.pem: no such file") {
		t.Errorf("got %v, want to be told which file is missing", err)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCertificateOfValet(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	p := newKeyPair(t, 1)
	for _, row := range []struct {
		hostname string
		found    bool
	}{{"site.test", true}, {"other.test", false}, {"", false}, {"../Certificates/site.test", false}} {
		dir := filepath.Join(home, ".config", "valet", "Certificates")
		write(t, dir, "site.test.crt", p.cert())
		write(t, dir, "site.test.key", p.plainKey(t))
		c, err := newCertificate(&config.Server{Hostname: row.hostname})
		if err != nil || (c != nil) != row.found {
			t.Errorf("%q: got %v, %v, want found: %t", row.hostname, c != nil, err, row.found)
		}
	}
	if c := (*certificate)(nil); c.config() != nil {
		t.Error("a node without a certificate speaks TLS")
	}
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	first, second := newKeyPair(t, 1), newKeyPair(t, 2)
	dir := t.TempDir()
	files := config.TLS{CertFile: write(t, dir, "cert.pem", first.cert()), KeyFile: write(t, dir, "key.pem", first.plainKey(t))}
	c, err := newCertificate(&config.Server{TLS: files})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	look := func(want int64) {
		t.Helper()
		c.look(slog.New(slog.NewTextHandler(&log, nil)))
		got, err := c.config().GetCertificate(nil)
		if err != nil || got.Leaf.SerialNumber.Int64() != want {
			t.Errorf("certificate %v, %v, want number %d", got.Leaf.SerialNumber, err, want)
		}
	}
	later := time.Now().Add(time.Hour)
	change := func(name, text string) {
		t.Helper()
		file := write(t, dir, name, text)
		later = later.Add(time.Second)
		if err := os.Chtimes(file, later, later); err != nil {
			t.Fatal(err)
		}
	}
	look(1)
	if log.Len() > 0 {
		t.Errorf("logged %s without a change", &log)
	}
	change("cert.pem", second.cert()) // and its key is not there yet
	look(1)
	if !strings.Contains(log.String(), "the old one stays") {
		t.Errorf("logged %q, want why it was not taken", &log)
	}
	log.Reset()
	look(1)
	if log.Len() > 0 {
		t.Errorf("logged %s again without a change", &log)
	}
	change("key.pem", second.plainKey(t))
	look(2)
	if !strings.Contains(log.String(), "read again") {
		t.Errorf("logged %q, want that it was read again", &log)
	}
}
