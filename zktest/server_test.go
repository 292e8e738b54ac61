package zktest_test

import (
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestClientOfAServer(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := srv.Client(t, gazoo.WithSessionTimeout(5*time.Second))
		create(t, zk, "/a")
		if data, _, err := zk.Get(soon(t), "/a"); string(data) != "v" || err != nil {
			t.Errorf("Get = %q, %v", data, err)
		}
		if d := zk.SessionTimeout(); d != 5*time.Second {
			t.Errorf("SessionTimeout = %v, want what was asked for", d)
		}
		if n := len(srv.Sessions()); n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
	})
}
