package demo

import (
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// servers returns the servers to play on and a function that ends what was started for it: a
// server inside this process when none was named.
func servers(e *env.Env) (hosts string, stop func(), err error) {
	if e.Options.ServersGiven {
		return e.Options.Servers, func() {}, nil
	}
	srv, err := zkserver.Start()
	if err != nil {
		return "", nil, err
	}
	return srv.Addr(), func() { srv.Close() }, nil
}
