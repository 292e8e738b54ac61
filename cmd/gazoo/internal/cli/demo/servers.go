package demo

import (
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// servers returns the servers to play on and a function that ends what was started for it. This
// is the one place to start an embedded server when none was named.
func servers(e *env.Env) (hosts string, stop func(), err error) {
	if !e.Options.ServersGiven {
		return "", nil, exit.Usagef("the demo needs a running server: name one with --servers host:port")
	}
	return e.Options.Servers, func() {}, nil
}
