package ensemble_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"io"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/testcert"
)

// ruokOverTLS asks the server over TLS and returns its answer.
func ruokOverTLS(addr string, config *tls.Config) (string, error) {
	nc, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "ruok"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(nc)
	return string(answer), err
}

func TestTLSPort(t *testing.T) {
	e := start(t, ensemble.Config{TLS: &ensemble.TLSConfig{}})
	s := e.Server(0)
	mustFourLetter(t, s.Addr(), "ruok", "imok") // in plain text, beside it
	if got, err := ruokOverTLS(s.TLSAddr(), &tls.Config{RootCAs: e.CA().Pool()}); got != "imok" || err != nil {
		t.Errorf("ruok over TLS = %q, %v; want imok", got, err)
	}
	if got, err := ruokOverTLS(s.TLSAddr(), &tls.Config{RootCAs: testcert.NewCA().Pool()}); err == nil {
		t.Errorf("ruok over TLS with another CA = %q, want an error", got)
	}
	if e.TLSHosts() != s.TLSAddr() {
		t.Errorf("TLSHosts() = %q, want %q", e.TLSHosts(), s.TLSAddr())
	}
}

func TestTLSClientCertificates(t *testing.T) {
	ca := testcert.NewCA()
	e := start(t, ensemble.Config{TLS: &ensemble.TLSConfig{CA: ca, ClientAuth: ensemble.ClientAuthNeed}})
	addr := e.Server(0).TLSAddr()
	cert, _, _ := ca.Client(pkix.Name{CommonName: "client"})
	if got, err := ruokOverTLS(addr, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{cert}}); got != "imok" || err != nil {
		t.Errorf("ruok with a certificate = %q, %v; want imok", got, err)
	}
	if got, err := ruokOverTLS(addr, &tls.Config{RootCAs: ca.Pool()}); err == nil {
		t.Errorf("ruok without a certificate = %q, want an error", got)
	}
	stranger, _, _ := testcert.NewCA().Client(pkix.Name{CommonName: "stranger"})
	if got, err := ruokOverTLS(addr, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{stranger}}); err == nil {
		t.Errorf("ruok with another CA's certificate = %q, want an error", got)
	}
}
