package env

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// TLSOptions are the options that concern TLS.
type TLSOptions struct {
	On            bool
	CA, Cert, Key string // PEM files
	ServerName    string
}

// Config returns the TLS configuration asked for, nil for none.
func (o TLSOptions) Config() (*tls.Config, error) {
	if o == (TLSOptions{}) {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, exit.Usagef("--tls-ca: %v", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, exit.Usagef("--tls-ca: no certificate in %s", o.CA)
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, exit.Usagef("--tls-cert and --tls-key go together")
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, exit.Usagef("--tls-cert, --tls-key: %v", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
