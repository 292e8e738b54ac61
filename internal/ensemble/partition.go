package ensemble

import (
	"net"
	"strconv"
	"sync/atomic"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// path is the proxy that one server's connections to one port of another run through.
type path struct {
	from, to *Server
	proxy    *faultproxy.Proxy
	severed  atomic.Bool
}

// openPaths starts the proxies between servers, where each server's configuration expects them. Those of the election
// come first, and are severed first: a server that loses its leader asks around at once, and if it still got to hear
// of the old one, it would spend seconds on trying to follow it.
func (e *Ensemble) openPaths() error {
	if err := e.openPathsOf(e.addrs.ports.election, func(id int) int {
		_, election := e.addrs.wildcardPorts(id)
		return election
	}); err != nil {
		return err
	}
	return e.openPathsOf(e.addrs.ports.quorum, func(id int) int {
		quorum, _ := e.addrs.wildcardPorts(id)
		return quorum
	})
}

// openPathsOf starts the proxies that listen on port and lead to the target port of a server, given its id.
func (e *Ensemble) openPathsOf(port int, target func(id int) int) error {
	for _, from := range e.servers {
		for _, to := range e.servers {
			if from == to {
				continue
			}
			listen := net.JoinHostPort(e.addrs.proxy(from.id, to.id), strconv.Itoa(port))
			proxy, err := faultproxy.NewOn(listen, to.addr(target(to.id)))
			if err != nil {
				return err
			}
			e.paths = append(e.paths, &path{from: from, to: to, proxy: proxy})
		}
	}
	return nil
}

// Partition cuts server i off from all the others until [Ensemble.Heal]: connections between them are reset and new
// ones refused, so both sides notice at once. Clients still reach every server. Partitioning further servers cuts each
// off alone. It panics without [Config.QuorumProxies].
func (e *Ensemble) Partition(i int) {
	paths := e.pathsOf(i)
	for _, p := range paths {
		p.severed.Store(true)
		p.proxy.Refuse(true)
	}
	for _, p := range paths {
		p.proxy.Cut()
	}
}

// Blackout is like [Ensemble.Partition], but what the servers send each other gets lost in silence, as with a failed
// switch, so they notice by timeout only.
func (e *Ensemble) Blackout(i int) {
	for _, p := range e.pathsOf(i) {
		p.severed.Store(true)
		p.proxy.BlackHole(true)
	}
}

// Heal ends every partition. It does not wait for the servers to find each other: see [Ensemble.WaitReady].
func (e *Ensemble) Heal() {
	for _, p := range e.paths {
		p.proxy.Clear()
		p.severed.Store(false)
	}
}

func (e *Ensemble) pathsOf(i int) []*path {
	if !e.cfg.QuorumProxies {
		panic("ensemble: partitions need Config.QuorumProxies")
	}
	s := e.servers[i]
	var paths []*path
	for _, p := range e.paths {
		if p.from == s || p.to == s {
			paths = append(paths, p)
		}
	}
	return paths
}

// cutOff reports whether no path leads from s to any other server.
func (e *Ensemble) cutOff(s *Server) bool {
	cut := false
	for _, p := range e.paths {
		if p.from == s {
			if !p.severed.Load() {
				return false
			}
			cut = true
		}
	}
	return cut
}
