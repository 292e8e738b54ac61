package election_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// party is some candidates that campaign all the time, and what must hold of them at every moment.
type party struct {
	t       *testing.T
	srv     *zktest.Server
	clients []*gazoo.Client
	latches []*election.Latch
	token   int64 // the highest so far
	terms   int
}

func newParty(t *testing.T, srv *zktest.Server, n int, opts ...election.Option) *party {
	p := &party{t: t, srv: srv}
	for i := range n {
		zk := recipetest.Client(t, srv)
		p.clients = append(p.clients, zk)
		p.latches = append(p.latches, candidate(t, zk, "/e", fmt.Sprint(i), opts...).Start())
	}
	return p
}

// check looks at all candidates at one moment: at most one leads, and tokens grow.
func (p *party) check() *election.Leadership {
	p.t.Helper()
	synctest.Wait() // what the test has just done to the server, its clients have heard of
	var leader *election.Leadership
	for _, l := range p.latches {
		now := l.Leadership()
		switch {
		case now == nil:
		case leader != nil:
			p.t.Fatalf("two lead: %v and %v", leader, now)
		default:
			leader = now
		}
	}
	if leader != nil {
		switch token := leader.Token(); {
		case token < p.token:
			p.t.Fatalf("token %d behind %d", token, p.token)
		case token > p.token:
			p.token = token
			p.terms++
		}
	}
	return leader
}

// watch checks every few milliseconds for a time.
func (p *party) watch(d time.Duration) {
	p.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.check()
	}
}

// settle asserts that somebody leads within a bound, that everybody stands in line once, and that nothing is left in
// the end.
func (p *party) settle() {
	p.t.Helper()
	begin := time.Now()
	for p.check() == nil {
		if time.Since(begin) > 3*recipetest.SessionTimeout {
			p.t.Fatalf("nobody has led for %v without a fault", time.Since(begin))
		}
		time.Sleep(5 * time.Millisecond)
	}
	zktest.Eventually(p.t, "each candidate has one znode", func() bool { p.check(); return p.srv.Count() == 1+len(p.latches) })
	for _, l := range p.latches {
		if err := l.Close(p.t.Context()); err != nil {
			p.t.Errorf("Close: %v", err)
		}
	}
	zktest.Eventually(p.t, "no znode is left", func() bool { return p.srv.Count() == 1 })
}

// Whatever happens to connections, answers and sessions, and whoever resigns or hands over: at most one leads.
func TestAtMostOneLeads(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				r := rand.New(rand.NewPCG(seed, 4))
				p := newParty(t, srv, 5)
				p.watch(time.Second)
				for range 40 {
					zk := p.clients[r.IntN(len(p.clients))]
					session := srv.Session(zk.SessionID())
					leader := p.check()
					switch r.IntN(8) {
					case 0:
						session.Cut()
					case 1:
						session.BlackHole()
						time.AfterFunc(time.Duration(r.IntN(9000))*time.Millisecond, session.Heal)
					case 2:
						session.Refuse()
						time.AfterFunc(time.Duration(r.IntN(9000))*time.Millisecond, session.Heal)
					case 3:
						// Before its time a session expires behind the back of its client: a leader cannot foresee it. Those
						// of leaders expire in their time, by the faults above.
						if leader == nil || leader.Session().ID() != zk.SessionID() {
							session.Expire()
						}
					case 4:
						srv.DropReply(zktest.OpCreate|zktest.OpDelete|zktest.OpMulti, "")
					case 5:
						session.Delay(zktest.BothWays, time.Duration(r.IntN(1000))*time.Millisecond)
						time.AfterFunc(2*time.Second, session.Heal)
					case 6:
						if leader != nil {
							go leader.Resign(t.Context())
						}
					case 7:
						if leader != nil {
							ctx, cancel := context.WithTimeout(t.Context(), time.Second)
							heir := fmt.Sprint(r.IntN(5))
							go func() {
								defer cancel()
								leader.HandOver(ctx, heir)
							}()
						}
					}
					p.watch(time.Duration(r.IntN(3000)) * time.Millisecond)
				}
				time.Sleep(10 * time.Second) // what was to be healed has been
				srv.Heal()
				if p.terms < 5 {
					t.Errorf("only %d leaderships", p.terms)
				}
				p.settle()
			})
		})
	}
}

// Both sessions expire, and the answers to what both then do arrive in every possible order.
func TestInterleavedResets(t *testing.T) {
	for i, order := range permutations(4) {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				p := newParty(t, srv, 2)
				p.watch(100 * time.Millisecond)
				sessions := make(chan int64, 2)
				for _, zk := range p.clients {
					zk.AddListener(func(ch gazoo.StateChange) bool {
						if ch.NewSession {
							sessions <- ch.Session
						}
						return false
					})
				}
				var holds []*zktest.Handle
				for _, op := range []zktest.Op{zktest.OpCreate, zktest.OpChildren} {
					for _, zk := range p.clients {
						id := zk.SessionID()
						other := p.clients[0].SessionID() + p.clients[1].SessionID() - id
						// The next session of this client is neither of the present two.
						holds = append(holds, srv.Add(zktest.Rule{
							Match: zktest.Match{Op: op, If: func(r zktest.Request) bool { return r.Session != id && r.Session != other }},
							Do:    zktest.HoldReply(), Skip: i % 2, Times: 1,
						}))
					}
				}
				for _, zk := range p.clients {
					srv.ExpireSession(zk.SessionID())
				}
				<-sessions
				<-sessions
				for _, k := range order {
					p.watch(50 * time.Millisecond)
					holds[k].Release()
					synctest.Wait()
					p.check()
				}
				p.settle()
			})
		})
	}
}

// Two quick flaps while creates and deletes are answered slowly.
func TestTwoQuickFlaps(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		p := newParty(t, srv, 3)
		p.watch(100 * time.Millisecond)
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate | zktest.OpDelete}, Do: zktest.DelayReply(300 * time.Millisecond)})
		for range 2 {
			srv.Cut()
			p.watch(100 * time.Millisecond)
			for _, zk := range p.clients[:2] {
				srv.ExpireSession(zk.SessionID())
			}
			p.watch(200 * time.Millisecond)
		}
		p.settle()
	})
}

// permutations returns all orders of n things.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			q := append(append(append([]int{}, p[:i]...), n-1), p[i:]...)
			all = append(all, q)
		}
	}
	return all
}
