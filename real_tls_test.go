package gazoo_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/testcert"
)

func TestTLSWithServerCertificates(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{TLS: &ensemble.TLSConfig{}})
	ctx := deadline(t, 60*time.Second)
	trust := &tls.Config{RootCAs: e.CA().Pool()}
	zk := connect(t, e.TLSHosts(), gazoo.WithTLS(trust))
	_, err := zk.Create(ctx, "/n", make([]byte, 300<<10))
	must(t, err)
	if data, _, err := zk.Get(ctx, "/n"); err != nil || len(data) != 300<<10 {
		t.Errorf("Get = %d bytes, %v", len(data), err)
	}
	// Four-letter words go over TLS as well.
	if text, err := zk.FourLetterWord(ctx, "mntr"); err != nil || !strings.Contains(text, "zk_version\t3.") {
		t.Errorf("mntr over TLS = %q, %v", text, err)
	}
	if v, err := zk.ServerVersion(ctx); err != nil || !v.AtLeast(3, 8) {
		t.Errorf("ServerVersion over TLS = %v, %v", v, err)
	}
	// One host with TLS, one without.
	for _, hosts := range []string{"tls://" + e.TLSHosts(), "tcp://" + e.Hosts()} {
		mixed := connect(t, hosts, gazoo.WithTLS(trust))
		if _, _, err := mixed.Exists(ctx, "/n"); err != nil {
			t.Errorf("Exists on %s: %v", hosts, err)
		}
	}

	// What must not work says why.
	other := testcert.NewCA()
	for name, c := range map[string]struct {
		hosts string
		opts  []gazoo.Option
		want  string
	}{
		"another authority":      {e.TLSHosts(), []gazoo.Option{gazoo.WithTLS(&tls.Config{RootCAs: other.Pool()})}, "certificate signed by unknown authority"},
		"another name":           {e.TLSHosts(), []gazoo.Option{gazoo.WithTLS(&tls.Config{RootCAs: e.CA().Pool(), ServerName: "zk.example.org"})}, "zk.example.org"},
		"plain text on TLS port": {e.TLSHosts(), nil, "expecting TLS"},
		"TLS on the plain port":  {e.Hosts(), []gazoo.Option{gazoo.WithTLS(trust)}, "TLS with"},
	} {
		_, err := gazoo.Connect(ctx, c.hosts, append(c.opts, gazoo.WithFailFast(), gazoo.WithSessionTimeout(6*time.Second))...)
		wantErr(t, "Connect with "+name, err, gazoo.ErrNoServer)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Connect with %s = %v, want it to tell %q", name, err, c.want)
		}
	}
	// A session survives a restart behind TLS too.
	sub := zk.SubscribeState()
	must(t, e.Server(0).Restart())
	if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed {
		t.Errorf("after a restart: %+v, want the session resumed", ch)
	}
}

func TestMutualTLS(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{TLS: &ensemble.TLSConfig{ClientAuth: ensemble.ClientAuthNeed}})
	ctx := deadline(t, 40*time.Second)
	cert, _, _ := e.CA().Client(pkix.Name{CommonName: "client", OrganizationalUnit: []string{"dev"}})
	with := func(cert tls.Certificate) gazoo.Option {
		// By a callback, as for certificates that are renewed while the client runs.
		return gazoo.WithTLS(&tls.Config{RootCAs: e.CA().Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &cert, nil
		}})
	}
	zk := connect(t, e.TLSHosts(), with(cert))
	who, err := zk.WhoAmI(ctx)
	must(t, err)
	dn := ""
	for _, id := range who {
		if id.Scheme == "x509" {
			dn = id.User
		}
	}
	if dn != "CN=client,OU=dev" && dn != "OU=dev,CN=client" {
		t.Errorf("WhoAmI = %v, want the certificate's subject", who)
	}
	_, err = zk.Create(ctx, "/n", nil, gazoo.WithACL(gazoo.CreatorACL()...))
	must(t, err)
	acl, _, err := zk.GetACL(ctx, "/n")
	if err != nil || len(acl) != 1 || acl[0].Scheme != "x509" || acl[0].ID != dn {
		t.Errorf("GetACL = %v, %v, want the certificate's subject", acl, err)
	}
	stranger, _, _ := testcert.NewCA().Client(pkix.Name{CommonName: "stranger"})
	for name, opt := range map[string]gazoo.Option{
		"no certificate":            gazoo.WithTLS(&tls.Config{RootCAs: e.CA().Pool()}),
		"a certificate of somebody": with(stranger),
	} {
		_, err := gazoo.Connect(ctx, e.TLSHosts(), opt, gazoo.WithFailFast(), gazoo.WithSessionTimeout(6*time.Second))
		wantErr(t, "Connect with "+name, err, gazoo.ErrNoServer)
	}
}
