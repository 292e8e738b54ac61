package real

import (
	"strings"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// link is how one client reaches the servers: by a proxy of its own for each.
type link struct{ proxies []*faultproxy.Proxy }

// link returns the link of a client. Links stay for the next run.
func (w *World) link(client int) (*link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.links) <= client {
		l := &link{}
		w.links = append(w.links, l)
		for i := range w.ensemble.Len() {
			p, err := faultproxy.New(w.ensemble.Server(i).Addr())
			if err != nil {
				return nil, err
			}
			l.proxies = append(l.proxies, p)
		}
	}
	return w.links[client], nil
}

func (l *link) hosts() string {
	addrs := make([]string, len(l.proxies))
	for i, p := range l.proxies {
		addrs[i] = p.Addr()
	}
	return strings.Join(addrs, ",")
}

// each does something to the way to every server.
func (l *link) each(f func(*faultproxy.Proxy)) {
	for _, p := range l.proxies {
		f(p)
	}
}
