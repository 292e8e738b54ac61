package zktest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// Endpoint is one address of a [Server], with what answers there. Its methods are safe for
// concurrent use.
type Endpoint struct {
	srv   *Server
	index int
	addr  string
	proxy *faultproxy.Proxy
	wg    sync.WaitGroup // Serve of the server behind it

	mu       sync.Mutex // guards the fields below
	backend  *zkserver.Server
	door     *door // nil while it is stopped
	refusing bool
	lag      time.Duration
	frozen   bool
}

func newEndpoint(s *Server, index int) (*Endpoint, error) {
	ep := &Endpoint{srv: s, index: index}
	var ln net.Listener
	var err error
	if s.network == nil {
		ln, err = new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	} else {
		ln, err = s.network.Listen(fmt.Sprintf("zk%d:2181", index+1))
	}
	if err != nil {
		return nil, fmt.Errorf("zktest: %w", err)
	}
	ep.addr = ln.Addr().String()
	if s.cfg.authority != nil {
		ln = tls.NewListener(ln, s.serverTLS(ep.Name()))
	}
	ep.proxy = faultproxy.Serve(ln, ep.enter, ep.tap)
	return ep, nil
}

// Name returns "zk1" for the first endpoint, "zk2" for the second, and so on.
func (ep *Endpoint) Name() string { return fmt.Sprintf("zk%d", ep.index+1) }

// Addr returns the connect string of this endpoint alone; see [Server.Addr].
func (ep *Endpoint) Addr() string { return ep.addr }

// tap is made for each connection.
func (ep *Endpoint) tap(fp *faultproxy.Conn) faultproxy.Tap {
	c := &Conn{srv: ep.srv, endpoint: ep, fp: fp}
	c.tap.conn = c
	ep.srv.sessions.enter(c)
	return faultproxy.Tap{Frame: c.tap.frame, Closed: c.tap.closed}
}

// start lets the endpoint answer.
func (ep *Endpoint) start() error {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.door != nil {
		return nil
	}
	backend := ep.srv.server()
	if ep.srv.cfg.endpoints > 0 {
		replica, err := zkserver.NewReplica(backend)
		if err != nil {
			return err
		}
		backend = replica
		backend.Lag(ep.lag)
		backend.Freeze(ep.frozen)
	}
	door := newDoor(ep.addr)
	ep.backend, ep.door = backend, door
	ep.wg.Go(func() { backend.Serve(door) })
	ep.proxy.Refuse(ep.refusing)
	return nil
}

// stop resets all connections and lets nobody in.
func (ep *Endpoint) stop() {
	ep.mu.Lock()
	door, backend := ep.door, ep.backend
	ep.door = nil
	ep.mu.Unlock()
	ep.proxy.Refuse(true)
	ep.proxy.Cut()
	if door != nil {
		door.Close()
	}
	if backend != nil {
		backend.Close()
	}
	ep.wg.Wait()
}

func (ep *Endpoint) close() {
	ep.stop()
	ep.proxy.Close()
}

// Stop kills this endpoint: connections are reset and new ones refused, until [Endpoint.Start]
// or [Server.Restart]. The only endpoint of a server is the server: see [Server.Stop].
func (ep *Endpoint) Stop() {
	ep.srv.life.Lock()
	defer ep.srv.life.Unlock()
	ep.srv.note(ep, "stop")
	ep.stop()
}

// Start lets a stopped endpoint answer again. It begins with what the leader knows, as a server
// that has synchronised with it, and lags behind from there on.
func (ep *Endpoint) Start() {
	ep.srv.life.Lock()
	defer ep.srv.life.Unlock()
	ep.srv.mu.Lock()
	core, down, closed := ep.srv.core, ep.srv.down, ep.srv.closed
	ep.srv.mu.Unlock()
	if closed {
		return
	}
	ep.srv.note(ep, "start")
	if down || ep.srv.cfg.endpoints == 0 && ep.stopped() {
		if err := ep.srv.boot(core); err != nil {
			ep.srv.fatal(err)
		}
	}
	if err := ep.start(); err != nil {
		ep.srv.fatal(err)
	}
}

func (ep *Endpoint) stopped() bool {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return ep.door == nil
}

// server returns what answers; it may be closed.
func (ep *Endpoint) server() *zkserver.Server {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return ep.backend
}

// Lag makes what happens in the tree arrive here so much later: reads and watches see what was
// there before, a write is answered when its result has arrived, and a sync waits until
// everything has. It needs [Endpoints].
func (ep *Endpoint) Lag(d time.Duration) {
	ep.needReplica("Lag")
	ep.srv.note(ep, "lag %v", d)
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.lag = d
	if ep.door != nil {
		ep.backend.Lag(d)
	}
}

// Freeze keeps the endpoint where it is in the history, until [Endpoint.Thaw]: reads go on
// seeing what is there, writes and syncs through it are not answered. It needs [Endpoints].
func (ep *Endpoint) Freeze() { ep.setFrozen(true) }

// Thaw lets a frozen endpoint catch up.
func (ep *Endpoint) Thaw() { ep.setFrozen(false) }

func (ep *Endpoint) setFrozen(on bool) {
	ep.needReplica("Freeze")
	ep.srv.note(ep, "frozen: %v", on)
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.frozen = on
	if ep.door != nil {
		ep.backend.Freeze(on)
	}
}

func (ep *Endpoint) needReplica(what string) {
	if ep.srv.cfg.endpoints == 0 {
		panic("zktest: " + what + " of the only server: use zktest.Endpoints")
	}
}

// ReadOnly cuts the endpoint off from the others, which leaves it in read-only mode, or ends
// that: see [Server.ReadOnly].
func (ep *Endpoint) ReadOnly(on bool) {
	ep.srv.note(ep, "read-only: %v", on)
	ep.server().ReadOnly(on)
}

// Zxid returns how far the endpoint has come in the history; 0 while it is stopped.
func (ep *Endpoint) Zxid() int64 {
	if srv := ep.server(); srv != nil {
		return srv.Zxid()
	}
	return 0
}

// refuses reports whether a dial is refused.
func (ep *Endpoint) refuses() bool {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return ep.refusing || ep.door == nil
}

// enter connects what the proxy has accepted with the server.
func (ep *Endpoint) enter(ctx context.Context, client net.Conn) (net.Conn, error) {
	ep.mu.Lock()
	door := ep.door
	ep.mu.Unlock()
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	if door == nil {
		return nil, refused
	}
	near, far := memnet.Pair()
	select {
	case door.queue <- visitor{far, client.RemoteAddr()}:
		return near, nil
	case <-door.done:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// visitor is a connection that comes from a client's address.
type visitor struct {
	*memnet.Conn
	remote net.Addr
}

func (v visitor) RemoteAddr() net.Addr { return v.remote }

// door is the listener of a server behind the proxy.
type door struct {
	queue chan visitor
	done  chan struct{}
	once  sync.Once
	addr  memnet.Addr
}

func newDoor(addr string) *door {
	return &door{queue: make(chan visitor), done: make(chan struct{}), addr: memnet.Addr(addr)}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case v := <-d.queue:
		return v, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() { close(d.done) })
	return nil
}

func (d *door) Addr() net.Addr { return d.addr }
