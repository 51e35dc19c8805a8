package loop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// overTLSEnv makes this package's tests run over TLS: every server that local
// describes speaks it, every client that connect makes too.
const overTLSEnv = "RESOUND_TEST_TLS"

var overTLS = os.Getenv(overTLSEnv) != ""

// notOverTLS are tests of what is below or beside TLS.
const notOverTLS = "TestSuiteOverTLS|TestTLS|TestFewDescriptors|TestMaxSockets|TestMailbox|TestOutbound|TestTrim|TestKeep|TestDirty|TestPortInUse|TestWriteToABroken|TestWaitingFrames|TestGiveWay|TestAddressIsTheKernels|TestLateReactor"

// TestSuiteOverTLS runs the other tests of this package over TLS: nothing may be
// different.
func TestSuiteOverTLS(t *testing.T) {
	if overTLS {
		t.Skip("this is it")
	}
	for version, run := range map[string]string{"1.2": "TestEcho|TestStream|TestHandsHTTP|TestSlowReader", "1.3": "."} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "-test.run", run, "-test.skip", notOverTLS, "-test.timeout", "5m")
			cmd.Env = append(os.Environ(), overTLSEnv+"="+version)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// certificate returns what a test server proves itself with, and who believes it.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

func serverTLS() *tls.Config {
	cert, _ := certificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true}
}

func clientTLS() *tls.Config {
	_, pool := certificate()
	c := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
	if os.Getenv(overTLSEnv) == "1.2" {
		c.MaxVersion = tls.VersionTLS12
	}
	return c
}

// httpClient is for a server that local describes, under the scheme it returns.
func httpClient(transport *http.Transport) (client *http.Client, s string) {
	transport.TLSClientConfig = clientTLS()
	if overTLS {
		s = "s"
	}
	return &http.Client{Transport: transport}, s
}

// tcp is the socket of a connection that connect made.
func tcp(c net.Conn) *net.TCPConn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.(*net.TCPConn)
}
