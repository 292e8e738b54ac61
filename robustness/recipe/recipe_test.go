package recipe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// Each program runs for a while in virtual time, with random faults, and what it promises holds. Something has to
// happen as well.
func TestPrograms(t *testing.T) {
	for _, p := range []func() *program.Program{
		Lock, LockQuorum, Locking, LockingQuorum, Plain, RW, RWQuorum, Semaphore, SemaphoreQuorum, Election, ElectionQuorum,
		Counter, CounterFresh, Lease, Barrier, DoubleBarrier, Partition, Membership, Cache,
	} {
		for seed := range uint64(2) {
			p := p()
			t.Run(fmt.Sprintf("%s/%d", p.Name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { newWorld(t, p, seed).run(40 * time.Second) })
			})
		}
	}
}

const session = 4 * time.Second

// world is a small world for one program: a server with three endpoints, and faults of connections, sessions and clients.
type world struct {
	t       *testing.T
	p       *program.Program
	srv     *zktest.Server
	seed    uint64
	rnd     *rand.Rand
	history history.Collector
	began   time.Time
	errs    chan error

	clients []*process
	killed  []*process
}

// process is a client program while it runs.
type process struct {
	e    *program.Env
	dead atomic.Bool // killed: nothing of what it does is seen any more
	stop context.CancelFunc
	done chan struct{}

	mu  sync.Mutex
	zks []*gazoo.Client
}

func newWorld(t *testing.T, p *program.Program, seed uint64) *world {
	return &world{
		t: t, p: p, seed: seed, rnd: rand.New(rand.NewPCG(seed, 77)), began: time.Now(),
		srv: zktest.Start(t, zktest.Endpoints(3)), errs: make(chan error, 100),
	}
}

func (w *world) clock() history.Instant { return history.Instant(time.Since(w.began) + time.Hour) }

func (w *world) connect(ctx context.Context, d *process, opts ...gazoo.Option) (*gazoo.Client, error) {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if d != nil && d.dead.Load() {
			return nil, net.ErrClosed
		}
		return w.srv.Dial(ctx, network, addr)
	}
	zk, err := gazoo.Connect(ctx, w.srv.Addr()+"/p", append([]gazoo.Option{gazoo.WithDialer(dial), gazoo.WithSessionTimeout(session)}, opts...)...)
	if zk != nil && d != nil {
		d.mu.Lock()
		d.zks = append(d.zks, zk)
		d.mu.Unlock()
	}
	return zk, err
}

func (w *world) env(client, restarts int, d *process) *program.Env {
	e := run.NewEnv(w.p, client, restarts, w.seed, w.clock, func(op history.Op) {
		if d == nil || !d.dead.Load() {
			w.history.Add(op)
		}
	})
	e.Session = session
	e.Connect = func(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error) {
		return w.connect(ctx, d, opts...)
	}
	return e
}

func (w *world) launch(client, restarts int) *process {
	d := &process{done: make(chan struct{})}
	ctx, stop := context.WithCancel(w.t.Context())
	d.stop = stop
	d.e = w.env(client, restarts, d)
	go func() {
		defer close(d.done)
		if err := w.p.Client(ctx, d.e); err != nil && !d.dead.Load() {
			w.errs <- fmt.Errorf("client %d.%d: %w", client, restarts, err)
		}
	}()
	return d
}

// kill ends what others can see of a process.
func (w *world) kill(d *process) {
	d.dead.Store(true)
	d.mu.Lock()
	for _, zk := range d.zks {
		zk.CloseNow()
	}
	d.mu.Unlock()
	d.stop()
	w.killed = append(w.killed, d)
}

func (w *world) run(length time.Duration) {
	if err := w.srv.Put("/p", ""); err != nil {
		w.t.Fatal(err)
	}
	admin, err := w.connect(w.t.Context(), nil)
	if err == nil && w.p.Setup != nil {
		err = w.p.Setup(w.t.Context(), admin)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	restarts := make([]int, run.ClientsOf(w.p))
	for i := range restarts {
		w.clients = append(w.clients, w.launch(i, 0))
	}
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(w.rnd.Int64N(int64(time.Second))))
		i := w.rnd.IntN(len(w.clients))
		switch dice := w.rnd.IntN(10); {
		case dice == 0:
			w.kill(w.clients[i])
			time.Sleep(time.Duration(w.rnd.Int64N(int64(6 * time.Second))))
			restarts[i]++
			w.clients[i] = w.launch(i, restarts[i])
		default:
			w.fault(w.clients[i], dice)
		}
	}
	w.srv.Heal()
	for _, d := range w.clients {
		d.stop()
	}
	for i, d := range w.clients {
		select {
		case <-d.done:
		case <-time.After(time.Minute):
			w.t.Errorf("client %d has not returned", i)
			return
		}
	}
	if w.p.Final != nil {
		if err := w.p.Final(w.t.Context(), w.env(len(w.clients), 0, nil)); err != nil {
			w.t.Errorf("Final: %v", err)
		}
	}
	admin.CloseNow()
	for _, d := range w.killed {
		<-d.done
	}
	w.judge()
}

// fault does something to a client's session.
func (w *world) fault(d *process, dice int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.zks) == 0 {
		return
	}
	s := w.srv.Session(d.zks[0].SessionID())
	switch dice {
	case 1, 2:
		d.e.Expiry(d.zks[0].SessionID())
		w.srv.ExpireSession(d.zks[0].SessionID())
	case 3:
		s.BlackHole()
		time.AfterFunc(time.Duration(w.rnd.Int64N(int64(8*time.Second))), s.Heal)
	case 4:
		s.Stall(zktest.ToClient)
		time.AfterFunc(time.Duration(w.rnd.Int64N(int64(5*time.Second))), s.Heal)
	case 5, 6, 7:
		id := d.zks[0].SessionID()
		w.srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate | zktest.OpDelete | zktest.OpSet | zktest.OpMulti, Session: id}, Do: zktest.DropReply(), Times: 1})
	case 8:
		ep := w.srv.Endpoint(w.rnd.IntN(3))
		ep.Lag(time.Duration(w.rnd.Int64N(int64(300 * time.Millisecond))))
	default:
		s.Cut()
	}
}

func (w *world) judge() {
	close(w.errs)
	for err := range w.errs {
		w.t.Error(err)
	}
	ops := w.history.Ops(w.p.Name)
	if !w.p.Expiries {
		ops = slices.DeleteFunc(ops, history.Op.IsExpiry)
	}
	kinds := map[string][3]int{}
	for i := range ops {
		n := kinds[ops[i].Kind]
		n[map[history.Outcome]int{history.OK: 0, history.Refused: 1, history.Maybe: 2}[ops[i].Outcome]]++
		kinds[ops[i].Kind] = n
	}
	w.t.Logf("%d operations, ok, refused, maybe: %v", len(ops), kinds)
	if len(ops) < 20 {
		w.t.Errorf("%d operations, want more", len(ops))
	}
	for i, v := range w.p.Check(ops) {
		if i < 5 {
			w.t.Errorf("%v", v)
		}
	}
}
