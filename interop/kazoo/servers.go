package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// server is one that tests can stop and start again with its data.
type server interface {
	Addr() string
	Stop() error
	Start() error
	Wipe() error // removes the data, while it is stopped
	Close() error
}

// superDigest is what Kazoo's tests know as super:test.
const superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="

// apache is Apache's server, configured as Kazoo does it. It is behind a proxy, so that nobody finds
// it while it starts: it accepts connections long before it answers, and tests do not wait for it.
type apache struct{ ensemble *ensemble.Ensemble }

func (a apache) Addr() string { return a.ensemble.Proxied() }

func (a apache) Stop() error {
	a.ensemble.Proxy(0).Refuse(true)
	return a.ensemble.Server(0).Stop()
}

func (a apache) Start() error {
	defer a.ensemble.Proxy(0).Refuse(false)
	return a.ensemble.Server(0).Start()
}

func (a apache) Wipe() error { return a.ensemble.Server(0).Wipe() }

func (a apache) Close() error { return a.ensemble.Close() }

func startApache(dir string) (server, error) {
	e, err := ensemble.Start(ensemble.Config{
		Dir: dir, TickTime: 2 * time.Second, SuperDigest: superDigest, ReconfigEnabled: true,
		Properties: map[string]string{
			"maxSessionTimeout": "40000",
			"authProvider.1":    "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
		},
		SystemProperties: map[string]string{
			"file.encoding": "UTF-8", // Apache decodes credentials by the JVM's default
		},
	})
	if err != nil {
		return nil, err
	}
	return apache{e}, nil
}

// gazoo is a process of gazoo serve.
type gazoo struct {
	binary, dir, addr string
	process           *os.Process  // nil when it is stopped
	ended             <-chan error // has the process's end
}

// buildGazoo builds the program that serves.
func buildGazoo(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "gazoo")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/gazoo").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

func startGazoo(binary, dir string) (server, error) {
	// An address that nobody has, and whose port no outgoing connection can have taken when it starts again.
	var err error
	for range 20 {
		g := &gazoo{binary: binary, dir: dir, addr: fmt.Sprintf("127.78.%d.%d:2181", rand.IntN(256), 1+rand.IntN(254))}
		if err = g.Start(); err == nil {
			return g, nil
		}
	}
	return nil, err
}

func (g *gazoo) Addr() string { return g.addr }

// Start returns when it serves.
func (g *gazoo) Start() error {
	log, err := os.OpenFile(g.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(g.binary, "serve", "--dir", g.dir, "--listen", g.addr, "--tick-time", "2s", "--max-client-conns", "0",
		"--4lw", "*", "--super-digest", superDigest, "--extended-types", "--reconfig-enabled")
	cmd.Stderr = log
	child.WithParent(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The signal comes when the thread ends, not the process.
		runtime.LockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		_, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			err = fmt.Errorf("gazoo serve printed no address: %w", err)
		}
		started <- err
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return err
	}
	g.process, g.ended = cmd.Process, ended
	return nil
}

func (g *gazoo) Stop() error {
	if g.process == nil {
		return nil
	}
	if err := g.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	g.process = nil
	return <-g.ended
}

func (g *gazoo) Wipe() error { return os.RemoveAll(g.dir) }

func (g *gazoo) Close() error { return g.Stop() }

// control lets the adapter stop and start a server, over HTTP on the loopback interface.
type control struct {
	url  string
	http http.Server
}

func newControl(srv server) (*control, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for name, do := range map[string]func() error{"stop": srv.Stop, "start": srv.Start, "reset": srv.Wipe} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, _ *http.Request) {
			if err := do(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	c := &control{url: "http://" + ln.Addr().String(), http: http.Server{Handler: mux}}
	go c.http.Serve(ln)
	return c, nil
}

func (c *control) close() { c.http.Close() }
