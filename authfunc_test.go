package gazoo_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// A credential that is fetched is fetched anew for each connection, so that a rotated secret
// is used without a restart; when it cannot be had the attempt fails and others follow.
func TestCredentialIsAskedForAtEveryConnect(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var sent []string
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool {
			var m zkproto.AuthRequest
			if req.Header.Op == zkproto.OpAuth && req.Decode(&m) == nil {
				sent = append(sent, string(m.Auth))
			}
			return false
		}}
		srv := w.serve("a:2181", b.Handle)
		secrets := []string{"u:one", "", "u:two"}
		fetch := func(context.Context) ([]byte, error) {
			secret := secrets[0]
			if len(secrets) > 1 {
				secrets = secrets[1:]
			}
			if secret == "" {
				return nil, errors.New("vault sealed")
			}
			return []byte(secret), nil
		}
		zk := w.connect("a", gazoo.WithAuthFunc("digest", fetch))
		srv.CloseConns()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if want := []string{"u:one", "u:two"}; !slices.Equal(sent, want) {
			t.Errorf("credentials sent: %q, want %q", sent, want)
		}
	})
}
