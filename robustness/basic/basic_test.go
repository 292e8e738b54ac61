package basic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
	"github.com/gazoo-zk/gazoo/zktest"
)

var all = []func() *program.Program{Register, Nodes, Sequence, Atomic, Pipeline, Outcomes, SyncRead, Ephemerals, Watches}

// Every program under a few faults of each kind, with no violation.
func TestPrograms(t *testing.T) {
	for _, make := range all {
		p := make()
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					var notes history.Collector
					synctest.Test(t, func(t *testing.T) { runProgram(t, p, seed, &notes) })
					judgeProgram(t, p, notes.Ops(p.Name))
				})
			}
		})
	}
}

const sessionTimeout = 4 * time.Second

// runProgram runs a program for some virtual time.
func runProgram(t *testing.T, p *program.Program, seed uint64, notes *history.Collector) {
	t.Helper()
	srv := zktest.Start(t, zktest.Endpoints(3), zktest.WithLogSize(0))
	start := time.Now()
	clock := func() history.Instant { return history.Instant(time.Since(start)) }
	root := "/" + p.Name
	connect := func(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error) {
		opts = append([]gazoo.Option{gazoo.WithDialer(srv.Dial), gazoo.WithSessionTimeout(sessionTimeout)}, opts...)
		return gazoo.Connect(ctx, srv.Addr()+root, opts...)
	}
	env := func(client, restarts int) *program.Env {
		e := run.NewEnv(p, client, restarts, seed, clock, notes.Add)
		e.Session, e.Connect = sessionTimeout, connect
		return e
	}

	if err := srv.Put(root, ""); err != nil {
		t.Fatal(err)
	}
	admin, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Setup != nil {
		if err := p.Setup(t.Context(), admin); err != nil {
			t.Fatalf("Setup: %v", err)
		}
	}
	admin.CloseNow()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for client := range run.ClientsOf(p) {
		clients.Go(func() {
			life := ctx
			if client == 1 { // is killed and started again, as far as one process can do that
				var cancel context.CancelFunc
				life, cancel = context.WithTimeout(ctx, 15*time.Second)
				defer cancel()
				if err := p.Client(life, env(client, 0)); err != nil {
					t.Errorf("Client %d: %v", client, err)
				}
				life = ctx
			}
			if err := p.Client(life, env(client, 1)); err != nil {
				t.Errorf("Client %d: %v", client, err)
			}
		})
	}
	disturb(srv, rand.New(rand.NewPCG(seed, 0)), 40*time.Second)
	stop()
	clients.Wait()
	if p.Final != nil {
		if err := p.Final(t.Context(), env(run.ClientsOf(p), 0)); err != nil {
			t.Fatalf("Final: %v", err)
		}
	}
}

func judgeProgram(t *testing.T, p *program.Program, ops []history.Op) {
	t.Helper()
	outcomes := map[string]int{}
	for _, op := range ops {
		outcomes[op.Kind+" "+string(op.Outcome)]++
	}
	t.Logf("%d operations: %v", len(ops), outcomes)
	bad := p.Check(ops)
	for _, v := range bad[:min(len(bad), 5)] {
		t.Error(v)
	}
	if len(bad) > 5 {
		t.Errorf("%d violations in all", len(bad))
	}
}

// disturb does one thing after another to the servers and the sessions, and leaves everything well.
func disturb(srv *zktest.Server, rnd *rand.Rand, d time.Duration) {
	wait := func(d time.Duration) { time.Sleep(time.Duration(rnd.Int64N(int64(d)))) }
	for end := time.Now().Add(d); time.Now().Before(end); wait(time.Second) {
		ep := srv.Endpoint(rnd.IntN(3))
		session := srv.Session(0)
		if sessions := srv.Sessions(); len(sessions) > 0 {
			session = srv.Session(sessions[rnd.IntN(len(sessions))].ID)
		}
		switch rnd.IntN(10) {
		case 0, 1:
			srv.DropReply(zktest.OpWrite, "")
		case 2:
			srv.DropRequest(zktest.OpWrite, "")
		case 3:
			session.Cut()
		case 4:
			session.Expire()
		case 5:
			session.Stall(zktest.ToClient)
			wait(2 * sessionTimeout)
			session.Heal()
		case 6:
			session.BlackHole()
			wait(2 * sessionTimeout)
			session.Heal()
		case 7:
			ep.Lag(time.Duration(rnd.Int64N(int64(time.Second))))
			wait(sessionTimeout)
			ep.Lag(0)
		case 8:
			ep.Stop()
			wait(sessionTimeout)
			ep.Start()
		case 9:
			session.Stall(zktest.ToServer)
			wait(sessionTimeout)
			session.Heal()
		}
	}
	srv.Heal()
	time.Sleep(2 * sessionTimeout)
}

// A history as tests write it, one operation a line, and what is to be found in it.
type judged struct {
	name string
	ops  []history.Op
	want []string // promises that are violated, in any order
}

func judge(t *testing.T, check func([]history.Op) []program.Violation, cases []judged) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, v := range check(c.ops) {
				got = append(got, v.Promise)
			}
			if strings.Join(got, "; ") != strings.Join(c.want, "; ") {
				t.Errorf("Check found %q, want %q", got, c.want)
			}
		})
	}
}

// log collects the operations of a history by hand: each begins and ends at moments of its own, one behind the other.
type log struct {
	c         history.Collector
	now       history.Instant
	recorders map[int]*history.Recorder
}

// op is an operation with nothing beside it.
func (l *log) op(client int, kind, key string, in, out any, err error) *log {
	l.begin(client, kind, key, in)(out, err)
	return l
}

// begin is an operation that others may run beside. The process of one that is never ended was killed.
func (l *log) begin(client int, kind, key string, in any) (end func(out any, err error)) {
	p := l.recorder(client).Begin(kind, key, in)
	return func(out any, err error) {
		l.now++
		p.End(out, err)
	}
}

func (l *log) note(client int, kind, key string, out any) *log {
	l.recorder(client).Note(kind, key, out)
	return l
}

func (l *log) recorder(client int) *history.Recorder {
	l.now++
	if l.recorders == nil {
		l.recorders = map[int]*history.Recorder{}
	}
	r := l.recorders[client]
	if r == nil {
		r = &history.Recorder{Program: "p", Client: client, Clock: func() history.Instant { return l.now }, Sink: l.c.Add}
		l.recorders[client] = r
	}
	return r
}

func (l *log) ops() []history.Op { return l.c.Ops("p") }

// errors as the client makes them.
var (
	lost    = &gazoo.OpError{Op: "set", Write: true, Outcome: gazoo.OutcomeUnknown, Err: gazoo.ErrConnectionLoss}
	unsent  = &gazoo.OpError{Op: "set", Write: true, Outcome: gazoo.OutcomeNotSent, Err: gazoo.ErrConnectionLoss}
	exists  = refused(gazoo.ErrNodeExists)
	missing = refused(gazoo.ErrNoNode)
	version = refused(gazoo.ErrBadVersion)
)

func refused(code gazoo.Code) error {
	return &gazoo.OpError{Op: "set", Write: true, Outcome: gazoo.OutcomeRefused, Err: code}
}
