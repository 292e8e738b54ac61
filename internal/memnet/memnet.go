// Package memnet is a network in memory for tests: connections and listeners
// with buffers, deadlines and half-close like TCP's, and with faults that a
// test can cause at an exact point.
//
// It works inside testing/synctest bubbles, where real sockets hang: whoever
// waits does so on a channel or a sync.Cond and never on a mutex that somebody
// holds for long, and deadlines follow virtual time. A network belongs to the
// bubble in which it was made. It also works outside of bubbles.
//
// What differs from TCP: a write to an end that was closed fails at once, not
// at the second try, and closing an end with unread bytes does not take back
// the bytes sent before.
package memnet

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// DefaultBuffer is how many bytes a direction of a connection holds, unless a
// test says otherwise, before Write blocks.
const DefaultBuffer = 1 << 20

// An Addr is an address in memory: the host and port that were listened on or
// dialled, as text.
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns the host and port.
func (a Addr) String() string { return string(a) }

// A DialHook is called for each dial before it looks for a listener. To let the
// dial hang it waits for ctx; an error it returns is the dial's.
type DialHook func(ctx context.Context, addr string) error

// A Network connects dials with listeners by their address. Its methods are
// safe for concurrent use.
type Network struct {
	mu        sync.Mutex // guards all below; never held while waiting
	listeners map[string]*listener
	conns     []*Conn // dialled ends of connections that are open, in dial order
	hook      DialHook
	buffer    int
	nextPort  int // for listening on port 0, and for the dialling side
}

// New returns a network without listeners.
func New() *Network {
	return &Network{listeners: make(map[string]*listener), buffer: DefaultBuffer, nextPort: 40001}
}

// Listen starts listening on addr, host:port. A dial must name the same text;
// no name is resolved. Port 0 stands for a free port, see the listener's Addr.
// An address in use is syscall.EADDRINUSE.
func (n *Network) Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, opError("listen", "", Addr(addr), err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		addr = n.freeAddr(host)
	}
	if n.listeners[addr] != nil {
		return nil, opError("listen", "", Addr(addr), os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := newListener(n, Addr(addr))
	n.listeners[addr] = l
	return l, nil
}

// freeAddr returns an address nobody used before. It runs under mu.
func (n *Network) freeAddr(host string) string {
	for {
		addr := net.JoinHostPort(host, strconv.Itoa(n.nextPort))
		n.nextPort++
		if n.listeners[addr] == nil {
			return addr
		}
	}
}

// Dial connects to the listener on addr. It has the signature of
// net.Dialer.DialContext; the kind of network is ignored. Errors are as that
// would return them: without a listener syscall.ECONNREFUSED, and ctx.Err()
// when ctx ends while the hook or a full backlog lets it wait. The dial does
// not wait to be accepted.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	hook := n.hook
	n.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, addr); err != nil {
			return nil, opError("dial", "", Addr(addr), err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", "", Addr(addr), err)
	}
	n.mu.Lock()
	l := n.listeners[addr]
	if l == nil {
		n.mu.Unlock()
		return nil, opError("dial", "", Addr(addr), os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	client, server := newPair(Addr(n.freeAddr("127.0.0.1")), l.addr, n.buffer)
	client.link.release = func() { n.forget(client) }
	n.conns = append(n.conns, client)
	n.mu.Unlock()

	if err := l.offer(ctx, server); err != nil {
		client.Close()
		server.Close()
		return nil, opError("dial", "", Addr(addr), err)
	}
	return client, nil
}

// SetDialHook makes hook decide about the dials that begin from now on; nil
// lets all of them pass.
func (n *Network) SetDialHook(hook DialHook) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hook = hook
}

// SetBuffer sets how many bytes each direction of connections dialled from now
// on holds before Write blocks; at least 1.
func (n *Network) SetBuffer(bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.buffer = max(1, bytes)
}

// OpenConns returns the number of connections of which an end has not been
// closed; being cut, or closed by the other end, does not count as closed. It
// is 0 at the end of a test that leaks none.
func (n *Network) OpenConns() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Conns returns the dialled ends of the connections that [Network.OpenConns]
// counts, oldest first, so that a test can cut or stall them.
func (n *Network) Conns() []*Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Conn(nil), n.conns...)
}

func (n *Network) forget(client *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, c := range n.conns {
		if c == client {
			n.conns = append(n.conns[:i:i], n.conns[i+1:]...)
			return
		}
	}
}

// opError dresses err as the net package does.
func opError(op string, local, remote Addr, err error) error {
	e := &net.OpError{Op: op, Net: "mem", Addr: remote, Err: err}
	if local != "" {
		e.Source = local
	}
	return e
}
