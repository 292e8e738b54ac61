package ensemble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	networks = 254
	// guardHost and guardPort are the address that whoever uses a network listens on, which is what reserves it.
	guardHost = 254
	guardPort = 2180
	// wildcardBase is the lowest of the ports of servers that listen on all addresses.
	wildcardBase = 20000
	// portSets is how many sets of ports are tried on a network before the next one.
	portSets = 20
)

// ports are the same on every server of an ensemble; the addresses differ. All lie below the range that the kernel
// hands out for outgoing connections.
type ports struct{ client, secure, admin, quorum, election int }

func portSet(k int) ports {
	return ports{client: 2181 + k, secure: 2281 + k, admin: 8081 + k, quorum: 2888 + k, election: 3888 + k}
}

// addresses is a reserved network 127.77.n.0/24 with ports that are free there.
type addresses struct {
	n     int
	ports ports
	guard net.Listener // held for as long as the network is in use
}

// reserve finds a network that no other ensemble on this machine uses, for the given number of servers. With
// wildcard, each of them also gets ports on all addresses.
func reserve(servers int, wildcard bool) (*addresses, error) {
	var lastErr error
	first := rand.IntN(networks)
	for i := range networks {
		a := &addresses{n: 1 + (first+i)%networks}
		guard, err := net.Listen("tcp", net.JoinHostPort(a.host(guardHost), strconv.Itoa(guardPort)))
		if err != nil {
			lastErr = err
			continue
		}
		a.guard = guard
		for k := range portSets {
			a.ports = portSet(k)
			if lastErr = a.probe(servers, wildcard); lastErr == nil {
				return a, nil
			}
		}
		guard.Close()
	}
	return nil, fmt.Errorf("ensemble: no free loopback network 127.77.x.0: %w", lastErr)
}

// probe checks that the servers will be able to listen. Something may listen on all addresses, such as a ZooKeeper
// that the machine runs as a service.
func (a *addresses) probe(servers int, wildcard bool) error {
	for id := 1; id <= servers; id++ {
		for _, port := range []int{a.ports.client, a.ports.secure, a.ports.admin, a.ports.quorum, a.ports.election} {
			if err := probe(a.server(id), port); err != nil {
				return err
			}
		}
		if wildcard {
			quorum, election := a.wildcardPorts(id)
			if err := errors.Join(probe("0.0.0.0", quorum), probe("0.0.0.0", election)); err != nil {
				return err
			}
		}
	}
	return nil
}

func probe(host string, port int) error {
	ln, err := net.Listen("tcp4", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return ln.Close()
}

func (a *addresses) release() { a.guard.Close() }

func (a *addresses) host(last int) string { return fmt.Sprintf("127.77.%d.%d", a.n, last) }

// server returns the address of a server, by its id.
func (a *addresses) server(id int) string { return a.host(id) }

// wildcardPorts returns the quorum and the election port of a server that listens on all addresses. They have to differ
// from those of every other ensemble, so they follow from the network, and from those of the proxies.
func (a *addresses) wildcardPorts(id int) (quorum, election int) {
	base := wildcardBase + 2*((maxServers+1)*a.n+id)
	return base, base + 1
}

// proxy returns the address at which the proxies listen that lead from one server to another, on the quorum and
// election ports that the set has.
func (a *addresses) proxy(from, to int) string { return a.host(10*from + to) }
