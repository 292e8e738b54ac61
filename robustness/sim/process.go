package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
	"github.com/gazoo-zk/gazoo/zktest"
)

// process is a client program, which may be killed and started again.
type process struct {
	w        *World
	p        *program.Program
	client   int
	root     string
	seed     uint64
	sink     func(history.Op)
	distance time.Duration // how long its bytes travel in one direction

	mu    sync.Mutex // guards the fields below
	lives []*life
}

// life is a process from its start to its end.
type life struct {
	net    *network
	env    *program.Env
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	err    error // read behind done

	mu      sync.Mutex // guards the fields below
	dead    bool       // killed: nothing that it notes counts
	clients []*gazoo.Client
}

func (p *process) start() error {
	net, err := newNetwork(p.w.srv, p.distance)
	if err != nil {
		return err
	}
	l := &life{net: net, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	restarts := len(p.lives)
	p.mu.Unlock()
	e := run.NewEnv(p.p, p.client, restarts, p.seed, p.w.Clock, func(op history.Op) { l.note(op, p.sink) })
	l.env = e
	e.Session = SessionTimeout
	e.Connect = func(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error) {
		return l.connect(ctx, p.w.srv.Addr()+p.root, opts)
	}
	p.mu.Lock()
	p.lives = append(p.lives, l)
	p.mu.Unlock()
	go func() {
		defer close(l.done)
		l.err = p.p.Client(l.ctx, e)
	}()
	return nil
}

func (l *life) connect(ctx context.Context, hosts string, opts []gazoo.Option) (*gazoo.Client, error) {
	opts = append([]gazoo.Option{gazoo.WithDialer(l.net.dial), gazoo.WithSessionTimeout(SessionTimeout)}, opts...)
	zk, err := gazoo.Connect(ctx, hosts, opts...)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients = append(l.clients, zk)
	return zk, nil
}

func (l *life) note(op history.Op, sink func(history.Op)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dead {
		sink(op)
	}
}

// sessions returns those of the clients that are open.
func (l *life) sessions() (ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, zk := range l.clients {
		select {
		case <-zk.Done():
		default:
			if id := zk.SessionID(); id != 0 {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// kill ends a process without a word: first it cannot reach anything, then nothing counts that it notes, so that
// whatever it has done was noted. The rest of it ends unheard.
func (l *life) kill() {
	l.net.close()
	l.mu.Lock()
	l.dead = true
	clients := l.clients
	l.mu.Unlock()
	l.cancel()
	for _, zk := range clients {
		go zk.CloseNow()
	}
}

func (l *life) killed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// now returns the present life.
func (p *process) now() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lives[len(p.lives)-1]
}

func (p *process) stop() { p.now().cancel() }

var errStuck = errors.New("it has not returned")

func (p *process) wait(ctx context.Context) error {
	p.mu.Lock()
	lives := p.lives
	p.mu.Unlock()
	for _, l := range lives {
		select {
		case <-l.done:
		case <-ctx.Done():
			return errStuck
		}
		if l.err != nil && !l.killed() {
			return l.err
		}
	}
	return nil
}

func (p *process) heal() {
	if l := p.now(); !l.killed() {
		l.net.heal()
	}
}

func (p *process) close() {
	p.mu.Lock()
	lives := p.lives
	p.mu.Unlock()
	for _, l := range lives {
		l.cancel()
		l.net.close()
		l.mu.Lock()
		clients := l.clients
		l.mu.Unlock()
		for _, zk := range clients {
			zk.CloseNow()
		}
		<-l.done
	}
}

// network is one process's ways to the servers: a proxy to each of them.
type network struct {
	net      *memnet.Network
	proxies  []*faultproxy.Proxy
	distance time.Duration
}

func newNetwork(srv *zktest.Server, distance time.Duration) (*network, error) {
	n := &network{net: memnet.New(), distance: distance}
	for _, ep := range srv.Endpoints() {
		addr := ep.Addr()
		ln, err := n.net.Listen(addr)
		if err != nil {
			n.close()
			return nil, fmt.Errorf("sim: %w", err)
		}
		dial := func(ctx context.Context, _ net.Conn) (net.Conn, error) { return srv.Dial(ctx, "tcp", addr) }
		n.proxies = append(n.proxies, faultproxy.Serve(ln, dial, nil))
	}
	n.slow(0)
	return n, nil
}

func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.net.Dial(ctx, network, addr)
}

func (n *network) each(f func(*faultproxy.Proxy)) {
	for _, p := range n.proxies {
		f(p)
	}
}

func (n *network) slow(d time.Duration) {
	n.each(func(p *faultproxy.Proxy) { p.Delay(faultproxy.Both, n.distance+d) })
}

func (n *network) heal() {
	n.each((*faultproxy.Proxy).Clear)
	n.slow(0)
}

func (n *network) close() {
	n.each(func(p *faultproxy.Proxy) { p.Close() })
}
