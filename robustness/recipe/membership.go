package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Membership has every client in a party and in a group, with a node of its own and a claim to one that all want. In the
// end, when there are no faults, all see each other.
func Membership() *program.Program {
	return &program.Program{
		Name:     "membership",
		Needs:    program.Needs{OneLeader: true},
		Expiries: true,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			m, err := joinAll(e, zk)
			if err != nil {
				return err
			}
			long, stop := afterwards(ctx, e)
			defer stop()
			m.live(ctx, long, e)
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error { return empty(ctx, e, zk, "/party", "/group", "/own", "/claims") })
		},
		Check: checkMembership,
	}
}

// claimed is the znode that all want.
const claimed = "/claims/one"

// life is what a client is a member of.
type life struct {
	zk     *gazoo.Client
	name   string
	party  *membership.Party
	member *membership.Member
	own    *membership.PersistentNode // what a former life has left is replaced
	claim  *membership.PersistentNode // nil while it does not want it
	number int                        // of the newest data of own
}

func joinAll(e *program.Env, zk *gazoo.Client) (m *life, err error) {
	m = &life{zk: zk, name: fmt.Sprint(e.Client)}
	if m.party, err = membership.NewParty(zk, "/party", m.name); err != nil {
		return nil, err
	}
	if m.member, err = membership.NewMember(zk, "/group", m.name, nil, membership.OnForeign(membership.ForeignReplace)); err != nil {
		return nil, err
	}
	m.own, err = membership.NewPersistentNode(zk, "/own/"+m.name, m.data(), membership.OnForeign(membership.ForeignReplace))
	return m, err
}

func (m *life) data() []byte { return fmt.Appendf(nil, "%s: %d", m.name, m.number) }

// live comes and goes while ctx lasts, and stays until long ends.
func (m *life) live(ctx, long context.Context, e *program.Env) {
	for e.Pause(ctx, 200*time.Millisecond) {
		op, cancel := context.WithTimeout(ctx, 5*time.Second)
		switch e.Rand.IntN(8) {
		case 0:
			m.party.Leave(op)
		case 1, 2:
			m.party.Join(op)
		case 3:
			m.number++
			m.own.SetData(m.data())
		default:
			m.wantClaim(ctx, e)
		}
		cancel()
	}
	for m.party.Join(long) != nil && program.Sleep(long, look) {
	}
	m.dropClaim(e)
	m.settle(long, e)
	ctx, cancel := context.WithTimeout(context.Background(), clearing)
	defer cancel()
	m.party.Leave(ctx)
	m.member.Close(ctx)
	m.own.Close(ctx)
}

// wantClaim asks for the claimed znode, has it for a while when it gets it, and lets it go.
func (m *life) wantClaim(ctx context.Context, e *program.Env) {
	if m.claim == nil {
		claim, err := membership.NewPersistentNode(m.zk, claimed, []byte(m.name))
		if err != nil {
			panic(err) // the arguments are good
		}
		m.claim = claim
	}
	wait, cancel := context.WithTimeout(ctx, upTo(e, 0, 2*time.Second))
	err := m.claim.WaitCreated(wait)
	cancel()
	if r, ok := m.claim.Current(); ok && err == nil {
		note := hold(e, claimed, holdIn{Token: r.Czxid, Session: r.Session}, func() error {
			if now, ok := m.claim.Current(); !ok || now != r {
				return errNotCurrent
			}
			return nil
		})
		if note.keep(ctx, upTo(e, minHold, maxHold)) {
			note.during(e.Session, asking(m.zk))
		}
		note.end()
	}
	if e.Rand.IntN(4) > 0 {
		m.dropClaim(e)
	}
}

var errNotCurrent = errors.New("another registration, or none")

func (m *life) dropClaim(e *program.Env) {
	if m.claim == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), upTo(e, 0, 3*time.Second))
	defer cancel()
	m.claim.Close(ctx)
	m.claim = nil
}

// settledIn is what a client sees in the end.
type settledIn struct {
	Party []string `json:"party"`
	Group []string `json:"group"`
	Own   string   `json:"own"`  // "" when all is well with its own node
	Saw   string   `json:"saw"`  // when that was not what it should be
	Want  int      `json:"want"` // how many there are
}

// settle looks until all see each other, and notes that, or what it sees at the end.
func (m *life) settle(ctx context.Context, e *program.Env) {
	// Everybody stays as long as it takes everybody else, but looks only until shortly before.
	looking, cancel := context.WithTimeout(ctx, settleTime(e)-2*time.Second)
	defer cancel()
	var saw settledIn
	for {
		if now := m.see(looking, e); looking.Err() == nil {
			saw = now
		}
		if saw.good() || !program.Sleep(looking, 100*time.Millisecond) {
			break
		}
	}
	e.Note("saw", "", saw)
	<-ctx.Done()
}

func (m *life) see(ctx context.Context, e *program.Env) settledIn {
	s := settledIn{Want: e.Clients}
	for name, err := range m.party.Members(ctx) {
		if err != nil {
			s.Saw = err.Error()
			break
		}
		s.Party = append(s.Party, name)
	}
	for name := range m.member.Members() {
		s.Group = append(s.Group, name)
	}
	slices.Sort(s.Party)
	slices.Sort(s.Group)
	s.Own = m.ownNode(ctx)
	return s
}

// ownNode returns what is wrong with the client's own node, as the servers have it.
func (m *life) ownNode(ctx context.Context) string {
	if err := m.own.WaitCreated(ctx); err != nil {
		return err.Error()
	}
	if err := m.zk.Sync(ctx, "/own"); err != nil {
		return err.Error()
	}
	data, stat, err := m.zk.Get(ctx, "/own/"+m.name)
	switch {
	case err != nil:
		return err.Error()
	case stat.EphemeralOwner != m.zk.SessionID():
		return fmt.Sprintf("it belongs to session 0x%x, not to 0x%x", stat.EphemeralOwner, m.zk.SessionID())
	case string(data) != string(m.data()):
		return fmt.Sprintf("it has %q, want %q", data, m.data())
	}
	return ""
}

// good reports whether it is as it should be: all are there, each once.
func (s settledIn) good() bool {
	var all []string
	for i := range s.Want {
		all = append(all, fmt.Sprint(i))
	}
	slices.Sort(all)
	return s.sees(all)
}

func (s settledIn) sees(names []string) bool {
	return slices.Equal(s.Party, names) && slices.Equal(s.Group, names) && s.Own == "" && s.Saw == ""
}

// registrations returns claims without those that go on where another one of the same client was noted before.
func registrations(claims []held) []held {
	type registration struct {
		client, run int
		token       int64
	}
	seen := map[registration]bool{}
	return slices.DeleteFunc(slices.Clone(claims), func(h held) bool {
		r := registration{h.Client, h.Run, h.Token}
		again := seen[r]
		seen[r] = true
		return again
	})
}

func checkMembership(ops []history.Op) (bad []program.Violation) {
	claims := holds(ops, claimed)
	bad = slices.Concat(overlaps(claims), disorder(registrations(claims)), orphans(ops))
	_, clients, ok := settled(ops)
	if !ok {
		return bad
	}
	var there []string
	for _, c := range clients {
		there = append(there, fmt.Sprint(c))
	}
	slices.Sort(there)
	for i := range ops {
		if ops[i].Kind != "saw" {
			continue
		}
		// Who was killed in the end is seen until its session has expired, and not at the end of all looking.
		if s := history.Decode[settledIn](ops[i].Out); !s.good() && !s.sees(there) {
			bad = append(bad, program.Violated("all see all", "there are %v: %v", there, ops[i]))
		}
	}
	return bad
}
