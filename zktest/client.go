package zktest

import (
	"context"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// This file is all that knows the client.

// Client connects a client to the server and closes it with the test; the test may close it
// before. The test fails if there is no session within 30s.
func (s *Server) Client(t testing.TB, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return s.client(t, s.Addr(), opts)
}

func (s *Server) client(t testing.TB, hosts string, opts []gazoo.Option) *gazoo.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	own := []gazoo.Option{gazoo.WithDialer(s.Dial)}
	if cfg := s.TLSConfig(); cfg != nil {
		own = append(own, gazoo.WithTLS(cfg))
	}
	zk, err := gazoo.Connect(ctx, hosts, append(own, opts...)...)
	if err != nil {
		t.Fatalf("zktest: connect: %v", err)
	}
	t.Cleanup(func() {
		zk.CloseNow()
		<-zk.Done()
	})
	return zk
}

// Client is [Server.Client] for a client that knows only this endpoint.
func (ep *Endpoint) Client(t testing.TB, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return ep.srv.client(t, ep.addr, opts)
}
