// Package testcert makes certificate authorities and certificates for tests, in memory and in the files that a
// ZooKeeper server reads.
//
// Keys are ECDSA P-256. Everything is valid from 1999 to 2099, so that it also is in a testing/synctest bubble, where
// the clock starts in the year 2000. Nothing here may protect anything.
package testcert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

var (
	validFrom  = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	validUntil = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CA is a self-signed certificate authority. It is safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a certificate authority with a key of its own: what one CA signed, another does not accept.
func NewCA() *CA {
	key := newKey()
	cert := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "gazoo test CA"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil, key, key)
	return &CA{cert: cert, key: key}
}

// Pool returns a new pool with only this CA, for tls.Config.RootCAs or ClientCAs.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// PEM returns the CA's certificate.
func (ca *CA) PEM() []byte { return encode("CERTIFICATE", ca.cert.Raw) }

// Server issues a server certificate for the hosts, which are names or IP addresses; the first is also the subject's
// common name. It returns the certificate ready for a tls.Config and as PEM: the chain, and the key as PKCS #8.
func (ca *CA) Server(hosts ...string) (cert tls.Certificate, certPEM, keyPEM []byte) {
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature,
		// ZooKeeper servers are clients of each other, with the same certificate.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for i, host := range hosts {
		if i == 0 {
			template.Subject.CommonName = host
		}
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return ca.issue(template)
}

// Client issues a client certificate for the subject. It returns the same three things as [CA.Server].
func (ca *CA) Client(subject pkix.Name) (cert tls.Certificate, certPEM, keyPEM []byte) {
	return ca.issue(&x509.Certificate{
		Subject:     subject,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// WriteTrustStore writes the CA's certificate to path, which ZooKeeper takes for ssl.trustStore.location when it ends
// in ".pem".
func (ca *CA) WriteTrustStore(path string) error {
	return os.WriteFile(path, ca.PEM(), 0o644)
}

// WriteKeyStore writes the key and the chain into one file at path, readable by its owner only, which ZooKeeper takes
// for ssl.keyStore.location when it ends in ".pem".
func WriteKeyStore(path string, certPEM, keyPEM []byte) error {
	return os.WriteFile(path, append(bytes.Clone(keyPEM), certPEM...), 0o600)
}

func (ca *CA) issue(template *x509.Certificate) (cert tls.Certificate, certPEM, keyPEM []byte) {
	key := newKey()
	leaf := sign(template, ca.cert, key, ca.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(fmt.Sprintf("testcert: encode a key: %v", err))
	}
	certPEM = append(encode("CERTIFICATE", leaf.Raw), ca.PEM()...)
	cert = tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}
	return cert, certPEM, encode("PRIVATE KEY", der)
}

// sign completes the template and signs it; without a parent it signs itself. The only way to fail is a template
// that this package built wrongly.
func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(fmt.Sprintf("testcert: random serial number: %v", err))
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = validFrom, validUntil
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		panic(fmt.Sprintf("testcert: sign: %v", err))
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("testcert: parse what was signed: %v", err))
	}
	return cert
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("testcert: generate a key: %v", err))
	}
	return key
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
