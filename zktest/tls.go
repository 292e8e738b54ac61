package zktest

import (
	"crypto/tls"
	"crypto/x509/pkix"

	"github.com/gazoo-zk/gazoo/internal/testcert"
)

// WithTLS makes all endpoints speak TLS, with certificates of an authority that exists for this
// server alone: [Server.TLSConfig] trusts it. Four-letter words are answered on TLS too.
func WithTLS() Option { return func(c *config) { c.authority = testcert.NewCA() } }

// TLSConfig returns a configuration for clients of a server with [WithTLS], which the caller may
// change: it trusts the server's certificates and has one of its own, for the common name
// "client". It is nil without that option.
func (s *Server) TLSConfig() *tls.Config {
	ca := s.cfg.authority
	if ca == nil {
		return nil
	}
	cert, _, _ := ca.Client(pkix.Name{CommonName: "client"})
	return &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// CertificateAuthority returns the certificate of the authority behind [WithTLS] as PEM, for
// programs that want a file; nil without that option.
func (s *Server) CertificateAuthority() []byte {
	if s.cfg.authority == nil {
		return nil
	}
	return s.cfg.authority.PEM()
}

// serverTLS is the configuration of an endpoint, whose clients may have a certificate of the
// same authority and no other.
func (s *Server) serverTLS(name string) *tls.Config {
	ca := s.cfg.authority
	cert, _, _ := ca.Server("127.0.0.1", "localhost", name)
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
		ClientCAs: ca.Pool(), ClientAuth: tls.VerifyClientCertIfGiven,
	}
}
