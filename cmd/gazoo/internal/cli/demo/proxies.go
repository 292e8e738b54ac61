package demo

import (
	"context"
	"net"
	"sync"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// proxies puts a TCP proxy in front of every server that the client dials.
type proxies struct {
	mu     sync.Mutex
	byAddr map[string]*faultproxy.Proxy
}

func newProxies() *proxies { return &proxies{byAddr: map[string]*faultproxy.Proxy{}} }

// dial is a gazoo.DialFunc. Since it takes the place of the dialler and not of the server list,
// TLS still sees the servers' own names.
func (p *proxies) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	proxy, err := p.of(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, proxy.Addr())
}

func (p *proxies) of(addr string) (*faultproxy.Proxy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proxy, ok := p.byAddr[addr]; ok {
		return proxy, nil
	}
	proxy, err := faultproxy.New(addr)
	if err == nil {
		p.byAddr[addr] = proxy
	}
	return proxy, err
}

// cut breaks every connection and lets no new one through.
func (p *proxies) cut() {
	p.each(func(proxy *faultproxy.Proxy) {
		proxy.Refuse(true)
		proxy.Cut()
	})
}

// mend lets connections through again.
func (p *proxies) mend() { p.each(func(proxy *faultproxy.Proxy) { proxy.Refuse(false) }) }

func (p *proxies) close() { p.each(func(proxy *faultproxy.Proxy) { proxy.Close() }) }

func (p *proxies) each(f func(*faultproxy.Proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proxy := range p.byAddr {
		f(proxy)
	}
}
