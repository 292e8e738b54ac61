package ensemble_test

import (
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// others returns the indices of all servers but i.
func others(e *ensemble.Ensemble, i int) []int {
	var rest []int
	for j := range e.Len() {
		if j != i {
			rest = append(rest, j)
		}
	}
	return rest
}

func TestQuorumElectsANewLeaderWhenItsLeaderIsKilled(t *testing.T) {
	e := start(t, ensemble.Config{Servers: 3})
	old, err := e.Leader()
	must(t, err)
	for _, i := range others(e, old) {
		mustMode(t, e.Server(i), ensemble.ModeFollower)
	}
	must(t, e.Server(old).Kill())
	leader := -1
	timed(t, "new leader", func() (err error) {
		leader, err = e.WaitLeader(deadline(t))
		return err
	})
	if leader == old {
		t.Fatalf("the killed server %d leads", old)
	}
	must(t, e.WaitReady(deadline(t)))
	must(t, e.Server(old).Wipe())
	timed(t, "wiped member back", e.Server(old).Start)
	mustMode(t, e.Server(old), ensemble.ModeFollower)

	must(t, e.Server(leader).Pause())
	timed(t, "new leader after pause", func() error {
		_, err := e.WaitLeader(deadline(t))
		return err
	})
	must(t, e.Server(leader).Resume())
	_, err = e.Server(leader).WaitMode(deadline(t), ensemble.ModeFollower)
	must(t, err)
}

func TestReadOnlyModeWithoutQuorum(t *testing.T) {
	for _, local := range []bool{false, true} {
		t.Run(fmt.Sprintf("local sessions %t", local), func(t *testing.T) {
			e := start(t, ensemble.Config{Servers: 3, ReadOnlyMode: true, LocalSessions: local})
			last := e.Server(2)
			mustFourLetter(t, last.Addr(), "isro", "rw")
			must(t, e.Server(0).Kill())
			must(t, e.Server(1).Kill())
			timed(t, "read-only", func() error {
				_, err := last.WaitMode(deadline(t), ensemble.ModeReadOnly)
				return err
			})
			mustFourLetter(t, last.Addr(), "isro", "ro")
			must(t, e.WaitReady(deadline(t)))
			timed(t, "quorum back", e.Server(0).Start)
			must(t, e.WaitReady(deadline(t)))
			mustFourLetter(t, last.Addr(), "isro", "rw")
		})
	}
}

func TestPartitions(t *testing.T) {
	e := start(t, ensemble.Config{Servers: 3, QuorumProxies: true})
	for _, tt := range []struct {
		name string
		cut  func(int)
	}{
		{"partition", e.Partition},
		{"blackout", e.Blackout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := deadline(t)
			old, err := e.WaitLeader(ctx)
			must(t, err)
			tt.cut(old)
			rest := others(e, old)
			timed(t, "leader among the rest", func() error {
				for {
					for _, i := range rest {
						if mode, err := e.Server(i).Mode(); err == nil && mode == ensemble.ModeLeader {
							return nil
						}
					}
					if err := ctx.Err(); err != nil {
						return err
					}
				}
			})
			must(t, e.WaitReady(deadline(t)))
			timed(t, "old leader steps down", func() error {
				for {
					if _, err := e.Server(old).Mode(); err != nil {
						return nil
					}
					if err := ctx.Err(); err != nil {
						return err
					}
				}
			})
			e.Heal()
			timed(t, "old leader follows again", func() error {
				_, err := e.Server(old).WaitMode(deadline(t), ensemble.ModeFollower)
				return err
			})
		})
	}
}

func TestObserver(t *testing.T) {
	e := start(t, ensemble.Config{Servers: 3, Observers: 1})
	mustMode(t, e.Server(2), ensemble.ModeObserver)
}
