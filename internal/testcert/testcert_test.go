package testcert_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gazoo-zk/gazoo/internal/testcert"
)

// handshake runs a mutual handshake over a pipe and returns both ends' errors and the client's subject as the
// server sees it.
func handshake(t *testing.T, server, client *tls.Config) (subject string, serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.Close()
		s := tls.Server(a, server)
		if serverErr = s.Handshake(); serverErr == nil {
			if certs := s.ConnectionState().PeerCertificates; len(certs) > 0 {
				subject = certs[0].Subject.String()
			}
			_, serverErr = s.Write([]byte("x"))
		}
	}()
	c := tls.Client(b, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(c, make([]byte, 1))
	}
	b.Close()
	<-done
	return subject, serverErr, clientErr
}

func TestMutualHandshake(t *testing.T) {
	ca := testcert.NewCA()
	cert, _, _ := ca.Server("127.77.1.1", "zk1.example")
	clientCert, _, _ := ca.Client(pkix.Name{CommonName: "client", Organization: []string{"Foo Bar"}})
	server := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	for _, host := range []string{"127.77.1.1", "zk1.example"} {
		client := &tls.Config{RootCAs: ca.Pool(), ServerName: host, Certificates: []tls.Certificate{clientCert}}
		subject, serverErr, clientErr := handshake(t, server, client)
		if serverErr != nil || clientErr != nil || subject != "CN=client,O=Foo Bar" {
			t.Errorf("%s: subject %q, server error %v, client error %v", host, subject, serverErr, clientErr)
		}
	}
	for name, client := range map[string]*tls.Config{
		"other host":     {RootCAs: ca.Pool(), ServerName: "zk2.example", Certificates: []tls.Certificate{clientCert}},
		"other CA":       {RootCAs: testcert.NewCA().Pool(), ServerName: "zk1.example", Certificates: []tls.Certificate{clientCert}},
		"no certificate": {RootCAs: ca.Pool(), ServerName: "zk1.example"},
	} {
		if _, _, err := handshake(t, server, client); err == nil {
			t.Errorf("%s: the handshake succeeded", name)
		}
	}
}

func TestValidInABubble(t *testing.T) {
	ca := testcert.NewCA()
	cert, _, _ := ca.Server("zk.example")
	synctest.Test(t, func(t *testing.T) {
		server := &tls.Config{Certificates: []tls.Certificate{cert}}
		if _, _, err := handshake(t, server, &tls.Config{RootCAs: ca.Pool(), ServerName: "zk.example"}); err != nil {
			t.Errorf("handshake under the bubble's clock: %v", err)
		}
	})
}

func TestFilesHoldWhatTheServerReads(t *testing.T) {
	ca := testcert.NewCA()
	_, certPEM, keyPEM := ca.Server("localhost")
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Errorf("the PEM pair does not load: %v", err)
	}
	keyStore, trustStore := filepath.Join(t.TempDir(), "key.pem"), filepath.Join(t.TempDir(), "trust.pem")
	if err := testcert.WriteKeyStore(keyStore, certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	if err := ca.WriteTrustStore(trustStore); err != nil {
		t.Fatal(err)
	}
	if got, want := blocks(t, keyStore), []string{"PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"}; !slices.Equal(got, want) {
		t.Errorf("key store holds %q, want %q", got, want)
	}
	if got, want := blocks(t, trustStore), []string{"CERTIFICATE"}; !slices.Equal(got, want) {
		t.Errorf("trust store holds %q, want %q", got, want)
	}
}

func blocks(t *testing.T, path string) []string {
	t.Helper()
	rest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return kinds
		}
		kinds = append(kinds, b.Type)
	}
}
