package node

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/youmark/pkcs8"

	"resound/cmd/internal/config"
)

// certificateInterval is how often the files of the certificate are looked at.
const certificateInterval = 10 * time.Second

// certificate is what the node proves itself with. Its files may change while
// the node runs. Safe for concurrent use.
type certificate struct {
	files   config.TLS
	current atomic.Pointer[tls.Certificate]

	mu   sync.Mutex
	seen [2]fileMark // of the files when they were read; guarded by mu
}

// fileMark tells whether a file is another one than before.
type fileMark struct {
	size     int64
	modified time.Time
}

// newCertificate reads the certificate that the configuration names, or the one
// that Herd or Valet made for the host name. It returns nil when there is none:
// the node speaks no TLS then.
//
// Reverb: TLS is on when local_cert or local_pk is set, or such a certificate is there.
func newCertificate(s *config.Server) (*certificate, error) {
	files := s.TLS
	if files.CertFile == "" && files.KeyFile == "" {
		var found bool
		if files, found = valetCertificate(s.Hostname); !found {
			return nil, nil
		}
	}
	c := &certificate{files: files}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// SpeaksTLS reports whether a node with this configuration would speak TLS.
func SpeaksTLS(s *config.Server) bool {
	c, err := newCertificate(s)
	return c != nil || err != nil
}

// valetCertificate looks where Herd and Valet keep the certificates of local sites.
func valetCertificate(hostname string) (files config.TLS, found bool) {
	home, err := os.UserHomeDir()
	if err != nil || hostname == "" || hostname != filepath.Base(hostname) {
		return files, false
	}
	for _, dir := range []string{
		filepath.Join(home, "Library", "Application Support", "Herd", "config", "valet", "Certificates"),
		filepath.Join(home, ".config", "herd", "config", "valet", "Certificates"),
		filepath.Join(home, ".config", "valet", "Certificates"),
		filepath.Join(home, ".valet", "Certificates"),
	} {
		files = config.TLS{CertFile: filepath.Join(dir, hostname+".crt"), KeyFile: filepath.Join(dir, hostname+".key")}
		if isFile(files.CertFile) && isFile(files.KeyFile) {
			return files, true
		}
	}
	return config.TLS{}, false
}

func isFile(name string) bool {
	s, err := os.Stat(name)
	return err == nil && s.Mode().IsRegular()
}

// config is what the engine gets. The certificate in it is always the current one.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		// What waits for a connection leaves in one record.
		DynamicRecordSizingDisabled: true,
	}
}

// read takes the files as they are now. With an error the certificate stays what it was.
func (c *certificate) read() error {
	seen := c.marks()
	pair, err := c.load()
	if err != nil {
		return err
	}
	c.current.Store(pair)
	c.seen = seen
	return nil
}

// look reads the files again if they changed.
func (c *certificate) look(log *slog.Logger) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.marks() == c.seen {
		return
	}
	if err := c.read(); err != nil {
		log.Error("the certificate changed and cannot be used; the old one stays", "error", err)
		c.seen = c.marks() // do not say so again before it changes again
		return
	}
	log.Info("the certificate was read again", "expires", c.current.Load().Leaf.NotAfter)
}

func (c *certificate) marks() (m [2]fileMark) {
	for i, name := range []string{c.files.CertFile, c.files.KeyFile} {
		if s, err := os.Stat(name); err == nil {
			m[i] = fileMark{s.Size(), s.ModTime()}
		}
	}
	return m
}

// load reads a chain and its key. As in PHP, each may be in the other's file.
func (c *certificate) load() (*tls.Certificate, error) {
	certFile, keyFile := c.files.CertFile, c.files.KeyFile
	if certFile == "" {
		certFile = keyFile
	}
	if keyFile == "" {
		keyFile = certFile
	}
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("options.tls.local_cert: %w", short(err))
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("options.tls.local_pk: %w", short(err))
	}
	keyPEM, err = decrypt(keyPEM, c.files.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("options.tls.local_pk %s: %w", keyFile, err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("options.tls: %s with %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// short takes the operation out of a file's error, which names the file anyway.
func short(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	return err
}

// decrypt returns text with its private key in the clear.
func decrypt(text []byte, passphrase string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		//lint:ignore SA1019 weak, and still what openssl made for decades
		legacy := x509.IsEncryptedPEMBlock(block)
		if block.Type != "ENCRYPTED PRIVATE KEY" && !legacy {
			continue
		}
		if passphrase == "" {
			return nil, errors.New("the key is encrypted: set options.tls.passphrase")
		}
		if legacy {
			//lint:ignore SA1019 as above
			der, err := x509.DecryptPEMBlock(block, []byte(passphrase))
			if err != nil {
				return nil, errors.New("the passphrase does not fit")
			}
			return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
		}
		key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(passphrase))
		if err != nil {
			return nil, errors.New("the passphrase does not fit")
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return bytes.TrimSpace(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
	}
}
