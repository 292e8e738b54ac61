package real

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// workerVariable makes a program that calls [Main] a worker process.
const workerVariable = "GAZOO_ROBUSTNESS_WORKER"

// expiring bounds how long the end of one session may take: the servers may be unable to do anything.
const expiring = 5 * time.Second

// Main makes this process a worker process of a [World] when it was started as one; then it does not return. A program
// with a world calls it first of all, with every program that the world may be asked to run.
func Main(known []*program.Program) {
	if os.Getenv(workerVariable) == "" {
		return
	}
	w := &worker{known: known, open: map[int]*opened{}}
	if err := w.run(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "worker process:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// worker is a process with some of the clients.
type worker struct {
	known  []*program.Program
	a      assignment
	cancel context.CancelFunc // tells the clients to let go
	busy   sync.WaitGroup     // clients
	side   sync.WaitGroup     // sessions that are being ended

	out sync.Mutex // held while a line is written

	mu   sync.Mutex // guards open
	open map[int]*opened
}

// opened are the clients that one client program has open.
type opened struct {
	by      *history.Recorder
	clients []*gazoo.Client
}

func (w *worker) run(in io.Reader) error {
	orders := json.NewDecoder(in)
	if err := orders.Decode(&w.a); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel = cancel
	for _, s := range w.a.Clients {
		p, err := w.find(s.Program)
		if err != nil {
			return err
		}
		w.busy.Go(func() { w.client(ctx, p, s) })
	}
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil // told to end, or nobody is left to report to
		} else if err != nil {
			return err
		}
		switch o.Do {
		case doStop:
			w.cancel()
			w.side.Go(func() {
				w.busy.Wait()
				w.say(report{Finished: true})
			})
		case doExpire:
			w.side.Go(func() { w.expire(o.Client) })
		case doSample:
			u := usage()
			u.Number = o.Number
			w.say(report{Usage: &u})
		}
	}
}

func (w *worker) find(name string) (*program.Program, error) {
	for _, p := range w.known {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no program %q", name)
}

// client runs one client until it returns.
func (w *worker) client(ctx context.Context, p *program.Program, s seat) {
	e := run.NewEnv(p, s.Client, w.a.Run, w.a.Seed, history.Machine, func(op history.Op) { w.say(report{Op: &op}) })
	e.Session = w.a.Session
	e.Connect = func(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error) {
		opts = append([]gazoo.Option{gazoo.WithSessionTimeout(w.a.Session)}, opts...)
		zk, err := gazoo.Connect(ctx, s.Hosts, opts...)
		if err != nil {
			return nil, err
		}
		w.track(s.Number, e.Recorder, zk)
		return zk.Chroot(run.Root(w.a.Root, p))
	}
	if err := p.Client(ctx, e); err != nil {
		w.say(report{Problem: fmt.Sprintf("%s, client %d.%d: %v", p.Name, s.Client, w.a.Run, err)})
	}
}

// track remembers a client that is open, and forgets those that are not any more.
func (w *worker) track(number int, by *history.Recorder, zk *gazoo.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.open[number]
	if o == nil {
		o = &opened{by: by}
		w.open[number] = o
	}
	o.clients = append(alive(o.clients), zk)
}

// alive returns the clients that were not closed.
func alive(all []*gazoo.Client) (open []*gazoo.Client) {
	for _, zk := range all {
		select {
		case <-zk.Done():
		default:
			open = append(open, zk)
		}
	}
	return open
}

// expire ends the sessions of a client on the servers, as if nothing had been heard of it for long enough: somebody else
// takes them over and closes them.
func (w *worker) expire(number int) {
	w.mu.Lock()
	o := w.open[number]
	if o == nil {
		w.mu.Unlock()
		return
	}
	open := alive(o.clients)
	w.mu.Unlock()
	for _, zk := range open {
		session := zk.Session()
		if session == nil {
			continue
		}
		o.by.Expiry(session.ID())
		saved := session.Saved()
		ctx, cancel := context.WithTimeout(context.Background(), expiring)
		thief, err := gazoo.Connect(ctx, w.a.Direct, gazoo.WithSession(saved), gazoo.WithSessionTimeout(saved.Timeout), gazoo.WithCloseTimeout(expiring))
		cancel()
		if err == nil {
			thief.Close() // with a session of its own, when the other one has ended meanwhile
		}
	}
}

// say writes a line. Without a reader there is nobody to tell: the process ends with the one that started it.
func (w *worker) say(r report) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // reports are plain data
	}
	w.out.Lock()
	defer w.out.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

// usage returns what this process uses.
func usage() (u Usage) {
	runtime.GC()
	runtime.GC() // what the first one found in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap, u.Goroutines = m.HeapAlloc, runtime.NumGoroutine()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return u
	}
	for _, f := range files {
		target, err := os.Readlink("/proc/self/fd/" + f.Name())
		if err != nil {
			continue // the one that reads the directory
		}
		u.Files++
		if strings.HasPrefix(target, "socket:") {
			u.Sockets++
		}
	}
	return u
}
