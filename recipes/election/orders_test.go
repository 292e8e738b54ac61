package election_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// orders runs a model again and again, until every choice that it makes has been made in every way: choose returns a
// number below n. Of a model with very many orders only the first choices are tried, as many as deep says; 0 is all. It
// returns how many runs that were.
func orders(t *testing.T, deep int, model func(choose func(n int) int) error) (runs int) {
	t.Helper()
	var path, width []int
	for {
		depth := 0
		err := model(func(n int) int {
			if deep > 0 && depth == deep {
				return 0
			}
			if depth == len(path) {
				path, width = append(path, 0), append(width, n)
			}
			depth++
			return path[depth-1]
		})
		runs++
		if err != nil {
			t.Fatalf("order %v: %v", path[:depth], err)
		}
		path, width = path[:depth], width[:depth]
		for len(path) > 0 && path[len(path)-1] == width[len(width)-1]-1 {
			path, width = path[:len(path)-1], width[:len(width)-1]
		}
		if len(path) == 0 {
			return runs
		}
		path[len(path)-1]++
	}
}

// gate lets the answers and events that reach a client through at the test's word, one after another.
type gate struct {
	srv  *zktest.Server
	ep   *zktest.Endpoint
	next *zktest.Handle
}

func newGate(srv *zktest.Server, ep *zktest.Endpoint) *gate {
	g := &gate{srv: srv, ep: ep}
	g.arm()
	return g
}

func (g *gate) arm() {
	g.next = g.srv.Add(zktest.Rule{
		Match: zktest.Match{Op: zktest.OpRequest | zktest.OpEvent, Endpoint: g.ep}, Do: zktest.HoldReply(), Times: 1,
	})
}

// held reports whether there is something to let through.
func (g *gate) held() bool { return g.next.Hits() > 0 }

func (g *gate) pass() {
	now := g.next
	g.arm()
	now.Release()
}

func (g *gate) open() {
	g.next.Remove()
	g.next.Release()
}

// model is two candidates or more, each at an endpoint of its own.
type model struct {
	srv     *zktest.Server
	clients []*gazoo.Client
	latches []*election.Latch
	gates   []*gate
	paths   []string // of the znodes in the beginning
	behind  bool     // a znode is deleted behind the back of its leader, who hears of it when the news gets through
}

func newModel(t *testing.T, srv *zktest.Server, n int) *model {
	m := &model{srv: srv}
	for i := range n {
		zk := recipetest.Dial(t, srv.Endpoint(i).Addr(), gazoo.WithDialer(srv.Dial))
		m.clients = append(m.clients, zk)
		m.latches = append(m.latches, candidate(t, zk, "/e", fmt.Sprint(i)).Start())
		synctest.Wait()
	}
	candidates, err := candidate(t, m.clients[0], "/e", "").Candidates(t.Context())
	must(t, err)
	for _, c := range candidates {
		m.paths = append(m.paths, c.Path)
	}
	return m
}

// run lets everything through the gates that can be chosen from, and looks at the leaders behind each step.
func (m *model) run(choose func(n int) int) error {
	for {
		synctest.Wait()
		if leaders := m.leaders(); len(leaders) > 1 {
			return fmt.Errorf("%v lead at once", leaders)
		}
		var held []*gate
		for _, g := range m.gates {
			if g.held() {
				held = append(held, g)
			}
		}
		switch len(held) {
		case 0:
			return nil
		case 1:
			held[0].pass()
		default:
			held[choose(len(held))].pass()
		}
	}
}

func (m *model) leaders() (leaders []int) {
	for i, latch := range m.latches {
		l := latch.Leadership()
		if l == nil {
			continue
		}
		if _, stands := m.srv.Get(l.Path()); stands || !m.behind {
			leaders = append(leaders, i)
		}
	}
	return leaders
}

// settled asserts what must be so when everything has arrived: without the time going on, one leads and each stands in
// line once.
func (m *model) settled() error {
	for _, g := range m.gates {
		g.open()
	}
	synctest.Wait()
	if leaders := m.leaders(); len(leaders) != 1 {
		return fmt.Errorf("%v lead in the end, want one", leaders)
	}
	if n := m.srv.Count(); n != 1+len(m.latches) {
		return fmt.Errorf("%d znodes in the end, want one for each of %d candidates: %s", n-1, len(m.latches), m.srv.Dump())
	}
	return nil
}

// The candidates are reset at once, and what then reaches them does so in every possible order: never two lead, and in
// the end one does.
func TestInterleavedResets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		behind bool
		reset  func(t *testing.T, m *model)
		deep   int // choices; the whole has 700 and 23,000 orders
		least  int // orders, or the model shows nothing
	}{
		{"both sessions expire", false, func(_ *testing.T, m *model) {
			for _, zk := range m.clients {
				m.srv.ExpireSession(zk.SessionID())
			}
		}, 0, 20},
		{"both connections are lost", false, func(_ *testing.T, m *model) { m.srv.Cut() }, 0, 2},
		{"the leader's session expires, the other's connection is lost", false, func(_ *testing.T, m *model) {
			m.srv.Session(m.clients[1].SessionID()).Cut()
			m.srv.ExpireSession(m.clients[0].SessionID())
		}, 0, 5},
		{"the leader's znode is deleted, the other's session expires", true, func(t *testing.T, m *model) {
			m.srv.ExpireSession(m.clients[1].SessionID())
			must(t, m.srv.Remove(m.latches[0].Leadership().Path()))
		}, 0, 20},
		{"both znodes are deleted", true, func(t *testing.T, m *model) {
			for _, path := range m.paths {
				must(t, m.srv.Remove(path))
			}
		}, 6, 20},
		{"the path is deleted", true, func(t *testing.T, m *model) { must(t, m.srv.Remove("/e")) }, 6, 20},
		{"the leader resigns, the other's session expires", false, func(t *testing.T, m *model) {
			l := m.latches[0].Leadership()
			go l.Resign(t.Context())
			m.srv.ExpireSession(m.clients[1].SessionID())
		}, 0, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := orders(t, tt.deep, func(choose func(int) int) (err error) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					m := newModel(t, srv, 2)
					if leaders := m.leaders(); len(leaders) != 1 || leaders[0] != 0 {
						t.Fatalf("%v lead in the beginning", leaders)
					}
					for i := range m.clients {
						m.gates = append(m.gates, newGate(srv, srv.Endpoint(i)))
					}
					m.behind = tt.behind
					tt.reset(t, m)
					if err = m.run(choose); err == nil {
						err = m.settled()
					}
					m.close(t)
				}, zktest.Endpoints(2))
				return err
			})
			if t.Logf("%d orders", runs); runs < tt.least {
				t.Errorf("%d orders, want %d at least", runs, tt.least)
			}
		})
	}
}

// A leader hands over to the last in line, with all that reaches the two in every possible order: never two lead, and
// whoever is alive in the end does.
func TestHandOverInEveryOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(m *model)
		leads int
	}{
		{"no fault", func(*model) {}, 2},
		{"the heir's connection is lost", func(m *model) { m.srv.Session(m.clients[2].SessionID()).Cut() }, 2},
		{"the leader's connection is lost", func(m *model) { m.srv.Session(m.clients[0].SessionID()).Cut() }, 2},
		{"the heir's session expires", func(m *model) { m.srv.ExpireSession(m.clients[2].SessionID()) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := orders(t, 6, func(choose func(int) int) (err error) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					m := newModel(t, srv, 3)
					l := m.latches[0].Leadership()
					m.gates = []*gate{newGate(srv, srv.Endpoint(0)), newGate(srv, srv.Endpoint(2))}
					handed := make(chan error, 1)
					go func() { handed <- l.HandOver(t.Context(), "2") }()
					for synctest.Wait(); l.Err() == nil && m.gates[0].held(); synctest.Wait() {
						m.gates[0].pass() // what it asks about the candidates, before it makes the offer
					}
					tt.fault(m)
					err = m.run(choose)
					if err == nil {
						err = m.settled()
					}
					if leaders := m.leaders(); err == nil && leaders[0] != tt.leads {
						err = fmt.Errorf("%v leads in the end, want %d; HandOver: %v", leaders, tt.leads, <-handed)
					}
					m.close(t)
				}, zktest.Endpoints(3))
				return err
			})
			if t.Logf("%d orders", runs); runs < 5 {
				t.Errorf("%d orders, want 5 at least", runs)
			}
		})
	}
}

func (m *model) close(t *testing.T) {
	for _, g := range m.gates {
		g.open()
	}
	for _, l := range m.latches {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		must(t, l.Close(ctx))
		cancel()
	}
}
