package memnet

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

// backlog is how many connections wait to be accepted; further dials wait.
const backlog = 128

// A listener hands connections from Dial to Accept.
type listener struct {
	network *Network
	addr    Addr
	queue   chan *Conn
	done    chan struct{} // closed by Close
	once    sync.Once
}

func newListener(n *Network, addr Addr) *listener {
	return &listener{network: n, addr: addr, queue: make(chan *Conn, backlog), done: make(chan struct{})}
}

// Accept waits for the next connection; net.ErrClosed after Close.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done: // first, because the queue may be ready as well
		return nil, opError("accept", "", l.addr, net.ErrClosed)
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, opError("accept", "", l.addr, net.ErrClosed)
	}
}

// Close stops listening and resets the connections that were not accepted.
// Accepted ones stay. It may be called again, and from any goroutine.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
		close(l.done)
		l.drain()
	})
	return nil
}

// Addr returns the address listened on, as an [Addr].
func (l *listener) Addr() net.Addr { return l.addr }

// offer queues the listening side of a new connection.
func (l *listener) offer(ctx context.Context, c *Conn) error {
	select {
	case l.queue <- c:
		select {
		case <-l.done: // Close may have drained before c was in
			l.drain()
		default:
		}
		return nil
	case <-l.done:
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain resets what nobody will accept.
func (l *listener) drain() {
	for {
		select {
		case c := <-l.queue:
			c.Cut()
			c.Close()
		default:
			return
		}
	}
}
