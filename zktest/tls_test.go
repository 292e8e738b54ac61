package zktest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestTLS(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.WithTLS(), zktest.Endpoints(2))...)
		zk := connect(t, srv)
		create(t, zk, "/a")
		back := reconnects(t, srv, zk)
		srv.DropReply(zktest.OpSet, "/a") // frames are seen behind TLS
		_, err := zk.Set(soon(t), "/a", nil, gazoo.AnyVersion)
		wantErr(t, "Set", err, gazoo.ErrConnectionLoss)
		back()
		back = reconnects(t, srv, zk)
		srv.Cut()
		back()
		if !bytes.Contains(srv.CertificateAuthority(), []byte("BEGIN CERTIFICATE")) {
			t.Error("CertificateAuthority is no PEM")
		}
		for name, cfg := range map[string]*tls.Config{
			"of another authority":  zktest.Start(t, zktest.WithTLS()).TLSConfig(),
			"with a name of others": {RootCAs: srv.TLSConfig().RootCAs, ServerName: "example.com"},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial), gazoo.WithTLS(cfg)); err == nil {
				zk.CloseNow()
				t.Errorf("connected with a configuration %s", name)
			}
		}
	})
	plain := zktest.Start(t)
	if plain.TLSConfig() != nil || plain.CertificateAuthority() != nil {
		t.Error("a server without TLS has certificates")
	}
}

func TestEventually(t *testing.T) {
	n := 0
	zktest.Eventually(t, "three", func() bool { n++; return n == 3 })
	t.Setenv(zktest.PatienceEnv, "0.002")
	begin := time.Now()
	v := judge(t, func(tb testing.TB) { zktest.Eventually(tb, "never", func() bool { return false }) })
	if !v.failed || v.text != "zktest: not within 20ms: never" || time.Since(begin) < 20*time.Millisecond {
		t.Errorf("failed %v with %q after %v", v.failed, v.text, time.Since(begin))
	}
}
