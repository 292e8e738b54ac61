package faultproxy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
)

// Proxy forwards the TCP connections it accepts to a target. All methods are safe for concurrent use.
type Proxy struct {
	ln     net.Listener
	ctx    context.Context // ends in Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the accept loop and everything of the connections
	dial   DialFunc

	// mu guards what follows. It is never held across I/O or a call of the filter.
	mu        sync.Mutex
	newTap    func(*Conn) Tap // not changed after the start
	target    string
	conns     map[*Conn]struct{}
	accepted  int
	refused   int
	refuse    bool
	blackHole bool
	hang      bool
	filter    Filter
	dirs      [2]dirFaults
	changed   chan struct{} // closed and replaced whenever a setting changes
}

// New starts a proxy on a free port of 127.0.0.1 that forwards to target ("host:port"). The target is dialled
// once per accepted connection, so it need not be up yet.
func New(target string) (*Proxy, error) { return NewOn("127.0.0.1:0", target) }

// NewOn is like [New] but listens on listenAddr; port 0 picks a free one.
func NewOn(listenAddr, target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", listenAddr)
	if err != nil {
		return nil, fmt.Errorf("faultproxy: %w", err)
	}
	p := newProxy(ln)
	p.target = target
	p.dial = func(ctx context.Context, _ net.Conn) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", p.Target())
	}
	p.wg.Go(p.acceptLoop)
	return p, nil
}

// DialFunc connects a connection that was accepted from a client with a target.
type DialFunc func(ctx context.Context, client net.Conn) (net.Conn, error)

// Serve starts a proxy on a listener, which it closes, with connections to targets that dial makes. Any connections
// will do, those in memory too: the proxy waits only on them, on channels and on timers, so it works in a bubble of
// testing/synctest. A tap is made for each connection; nil makes none.
func Serve(ln net.Listener, dial DialFunc, tap func(*Conn) Tap) *Proxy {
	p := newProxy(ln)
	p.dial, p.newTap = dial, tap
	p.wg.Go(p.acceptLoop)
	return p
}

func newProxy(ln net.Listener) *Proxy {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		ln:      ln,
		ctx:     ctx,
		cancel:  cancel,
		conns:   make(map[*Conn]struct{}),
		changed: make(chan struct{}),
	}
	p.clearLocked()
	return p
}

// Addr returns the "host:port" to connect to.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Target returns where new connections are forwarded to.
func (p *Proxy) Target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// SetTarget changes where connections accepted from now on are forwarded to. Open ones stay where they are.
func (p *Proxy) SetTarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Conns returns the number of connections open now. A connection counts until both its sides have closed or it
// was reset, and also while the target is being dialled or a black hole swallows it.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Accepted returns how many connections were accepted so far, not counting those that [Proxy.Refuse] turned
// away. The newest connection's id, as a [Filter] sees it, is this number.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Refused returns how many connections [Proxy.Refuse] turned away so far.
func (p *Proxy) Refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// Close stops listening, resets every connection and waits until every goroutine of the proxy has ended. It
// may be called more than once, but not from a [Filter].
func (p *Proxy) Close() error {
	p.cancel()
	p.ln.Close() // an error here only says that it was closed before
	p.Cut()
	p.wg.Wait()
	return nil
}

func (p *Proxy) acceptLoop() {
	for {
		nc, err := p.ln.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			continue // the client left before it was accepted
		}
		if c := p.admit(nc); c != nil {
			if p.newTap != nil {
				c.tap = p.newTap(c)
			}
			p.wg.Go(c.serve)
		} else {
			reset(nc)
		}
	}
}

// admit registers nc as an open connection, or returns nil when it has to be turned away.
func (p *Proxy) admit(nc net.Conn) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Close cancels ctx before it cuts the registered connections, so one is either seen by that cut or not
	// registered at all.
	if p.ctx.Err() != nil {
		return nil
	}
	if p.refuse {
		p.refused++
		return nil
	}
	p.accepted++
	c := &Conn{p: p, id: p.accepted, client: nc, swallowed: p.blackHole || p.hang, hung: p.hang}
	c.ctx, c.cancel = context.WithCancel(p.ctx)
	p.conns[c] = struct{}{}
	return c
}

// Open returns the connections that [Proxy.Conns] counts, oldest first.
func (p *Proxy) Open() []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Keys(p.conns), func(a, b *Conn) int { return cmp.Compare(a.id, b.id) })
}
