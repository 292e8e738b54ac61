package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gazoo-zk/gazoo/zkserver"
)

// admin is the HTTP server beside a ZooKeeper server.
type admin struct {
	ln   net.Listener
	http *http.Server
	done chan struct{} // closed when it has ended
}

// startAdmin serves on an address until close; "" is none.
func startAdmin(addr string, srv *zkserver.Server, log *slog.Logger) (*admin, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	a := &admin{ln: ln, done: make(chan struct{}), http: &http.Server{
		Handler: srv.AdminHandler(), ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() {
		defer close(a.done)
		if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin server ended", "err", err)
		}
	}()
	log.Info("admin server", "url", "http://"+ln.Addr().String()+"/commands")
	return a, nil
}

func (a *admin) close() {
	if a == nil {
		return
	}
	a.http.Close()
	<-a.done
}
