package election_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// party is some candidates that campaign all the time, and what must hold of them whatever happens.
type party struct {
	t       *testing.T
	srv     *zktest.Server
	clients []*gazoo.Client
	all     []*election.Election
	stop    context.CancelFunc
	ended   sync.WaitGroup
	forced  atomic.Bool // the test expires sessions of leaders, who hear of it at the same moment as their successors

	mu    sync.Mutex
	now   *election.Leadership // that began last
	token int64                // its token, the highest so far
	terms int
}

// newParty lets n candidates campaign, by Run and by a latch in turns. What the leaders do is up to lead, which is to
// return when its context ends at the latest.
func newParty(t *testing.T, srv *zktest.Server, n int, lead func(context.Context, *election.Leadership), opts ...election.Option) *party {
	p := &party{t: t, srv: srv}
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	opts = append(opts, election.WithRequeueIf(func(error) bool { return true }))
	for i := range n {
		zk := recipetest.Client(t, srv)
		e := candidate(t, zk, "/e", fmt.Sprint(i), opts...)
		p.clients, p.all = append(p.clients, zk), append(p.all, e)
		run := p.run
		if i%2 == 1 {
			run = p.latch
		}
		p.ended.Go(func() { run(ctx, e, lead) })
	}
	return p
}

func (p *party) run(ctx context.Context, e *election.Election, lead func(context.Context, *election.Leadership)) {
	err := e.Run(ctx, func(ctx context.Context, l *election.Leadership) error {
		p.began(l)
		lead(ctx, l)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		p.t.Errorf("Run: %v", err)
	}
}

func (p *party) latch(ctx context.Context, e *election.Election, lead func(context.Context, *election.Leadership)) {
	latch := e.Start()
	defer latch.Close(context.WithoutCancel(ctx))
	for {
		l, err := latch.Await(ctx)
		if err != nil {
			if ctx.Err() == nil {
				p.t.Errorf("Await: %v", err)
			}
			return
		}
		p.began(l)
		work, cancel := context.WithCancel(l.Context())
		stop := context.AfterFunc(ctx, cancel)
		lead(work, l)
		stop()
		cancel()
		l.Resign(ctx)
	}
}

// began is told of every leadership at its beginning. Of two that are alive at once one begins last, so that is the time
// to look at the other.
func (p *party) began(l *election.Leadership) {
	if p.forced.Load() {
		time.Sleep(time.Nanosecond)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.now.Err() == nil && l.Err() == nil {
		p.t.Errorf("two lead: %v and %v", p.now, l)
	}
	if l.Token() <= p.token {
		p.t.Errorf("token %d behind %d", l.Token(), p.token)
	}
	p.now, p.token = l, l.Token()
	p.terms++
}

// leader returns the one that leads, and how many have led so far.
func (p *party) leader() (*election.Leadership, int) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil || p.now.Err() != nil {
		return nil, p.terms
	}
	return p.now, p.terms
}

// settle asserts that somebody leads within a bound, that everybody stands in line once, and that nothing is left in
// the end.
func (p *party) settle() {
	p.t.Helper()
	begin := time.Now()
	for l, _ := p.leader(); l == nil; l, _ = p.leader() {
		if time.Since(begin) > 3*recipetest.SessionTimeout {
			p.t.Fatalf("nobody has led for %v without a fault", time.Since(begin))
		}
		time.Sleep(5 * time.Millisecond)
	}
	zktest.Eventually(p.t, "each candidate has one znode", func() bool { return p.srv.Count() == 1+len(p.all) })
	p.close()
}

func (p *party) close() {
	p.t.Helper()
	p.stop()
	p.ended.Wait()
	zktest.Eventually(p.t, "no znode is left", func() bool { return p.srv.Count() == 1 })
}

// untilTheEnd is a leader that stays as long as it may.
func untilTheEnd(ctx context.Context, _ *election.Leadership) { <-ctx.Done() }

// Whatever happens to connections, answers and sessions, and whoever resigns or hands over: at most one leads, tokens grow,
// somebody leads when the faults have ended, and no znode is left.
func TestAtMostOneLeads(t *testing.T) {
	const candidates = 5
	for _, mode := range []struct {
		name  string
		seeds uint64
		opts  []election.Option
	}{
		{"plain", 8, nil},
		{"quorum", 4, []election.Option{election.WithQuorum()}},
		{"latch style", 2, []election.Option{election.WithStyle(election.CuratorLatch)}},
	} {
		for seed := range mode.seeds {
			t.Run(fmt.Sprintf("%s/seed %d", mode.name, seed), func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					var mu sync.Mutex
					r := rand.New(rand.NewPCG(seed, 4))
					random := func(n int) int {
						mu.Lock()
						defer mu.Unlock()
						return r.IntN(n)
					}
					p := newParty(t, srv, candidates, func(ctx context.Context, l *election.Leadership) {
						select {
						case <-ctx.Done():
						case <-time.After(time.Duration(random(6000)) * time.Millisecond):
						}
						if random(2) == 0 {
							ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random(3000))*time.Millisecond)
							defer cancel()
							l.HandOver(ctx, fmt.Sprint(random(candidates)))
						}
					}, mode.opts...)
					troubled := make([]time.Time, candidates) // until then
					for range 60 {
						i := random(candidates)
						session := srv.Session(p.clients[i].SessionID())
						span := time.Duration(random(9000)) * time.Millisecond
						leader, _ := p.leader()
						switch random(6) {
						case 0:
							session.Cut()
							span = 0
						case 1:
							session.BlackHole()
						case 2:
							session.Refuse()
						case 3:
							session.Delay(zktest.BothWays, span/10)
						case 4:
							srv.DropReply(zktest.OpCreate|zktest.OpDelete|zktest.OpMulti|zktest.OpSet, "")
							span = 0
						case 5:
							// Before its time a session expires behind the back of its client, which a leader cannot foresee: theirs
							// expire in their time, by the other faults.
							led := leader != nil && leader.Session().ID() == session.ID()
							if span = 0; !led && time.Now().After(troubled[i]) {
								session.Expire()
							}
						}
						if span > 0 {
							troubled[i] = time.Now().Add(span)
							time.AfterFunc(span, session.Heal)
						}
						time.Sleep(time.Duration(random(3000)) * time.Millisecond)
					}
					time.Sleep(10 * time.Second) // what was to be healed has been
					srv.Heal()
					if _, terms := p.leader(); terms < 10 {
						t.Errorf("only %d leaderships", terms)
					}
					p.settle()
				})
			})
		}
	}
}

// Two quick flaps while creates and deletes are answered slowly.
func TestTwoQuickFlaps(t *testing.T) {
	for _, lost := range []string{"connections", "sessions"} {
		t.Run(lost, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				p := newParty(t, srv, 3, untilTheEnd)
				p.forced.Store(lost == "sessions")
				p.leader()
				srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate | zktest.OpDelete}, Do: zktest.DelayReply(300 * time.Millisecond)})
				for range 2 {
					srv.Cut()
					time.Sleep(100 * time.Millisecond)
					p.leader()
					if lost == "sessions" {
						srv.Cut() // nothing of what is on its way holds up the news
						for _, zk := range p.clients {
							srv.ExpireSession(zk.SessionID())
						}
					}
					time.Sleep(200 * time.Millisecond)
					p.leader()
				}
				p.settle()
			})
		})
	}
}

// A leader whose candidate's answers come late resigns and goes on campaigning: nobody leads twice, nothing is left.
func TestLeadersThatComeAndGoQuickly(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		p := newParty(t, srv, 5, func(ctx context.Context, l *election.Leadership) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			if err := l.Err(); err != nil && !errors.Is(err, election.ErrReleased) && t.Context().Err() == nil && ctx.Err() == nil {
				t.Errorf("a leadership without a fault: %v", err)
			}
		})
		time.Sleep(400 * time.Millisecond)
		if _, terms := p.leader(); terms < 300 {
			t.Errorf("%d leaderships, want 300", terms)
		}
		p.close()
	})
}
