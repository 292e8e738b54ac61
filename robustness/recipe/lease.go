package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/lease"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// leaseLength is the duration of the leases. Their ends are whole seconds.
const leaseLength = 3 * time.Second

// Lease is a lease on the clock that all clients share. Sessions play no part in it.
func Lease() *program.Program {
	return &program.Program{
		Name:     "lease",
		Expiries: true,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			// A process that has started again does not know what the one before it did.
			l, err := lease.New(zk, "/lease", leaseLength, lease.WithHolder(fmt.Sprintf("%d.%d", e.Client, e.Run)))
			if err != nil {
				return err
			}
			for e.Pause(ctx, 400*time.Millisecond) {
				if err := useLease(ctx, e, l); err != nil {
					return err
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				return leaseFinal(ctx, e, zk)
			})
		},
		Check: checkLease,
	}
}

// leaseFinal obtains the lease when nobody has it any more.
func leaseFinal(ctx context.Context, e *program.Env, zk *gazoo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, expiring)
	defer cancel()
	l, err := lease.New(zk, "/lease", leaseLength, lease.WithHolder("last"))
	if err != nil {
		return err
	}
	for {
		g, err := l.Obtain(ctx)
		if err == nil {
			note := hold(e, "/lease", holdIn{Token: g.Token()}, g.Err)
			note.end()
			return nil
		}
		if !errors.Is(err, lease.ErrTaken) || !program.Sleep(ctx, 100*time.Millisecond) {
			e.Note("stuck", "", err.Error())
			return nil
		}
	}
}

func useLease(ctx context.Context, e *program.Env, l *lease.Lease) error {
	wait, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	g, err := l.Obtain(wait)
	switch {
	case errors.Is(err, lease.ErrTaken), wait.Err() != nil && errors.Is(err, wait.Err()):
		return nil
	case err != nil:
		return err
	}
	for range 1 + e.Rand.IntN(2) {
		note := hold(e, "/lease", holdIn{Token: g.Token()}, g.Err)
		d := upTo(e, minHold, time.Second)
		if e.Rand.IntN(3) == 0 {
			d = leaseLength // to its end
		}
		note.keep(ctx, d)
		note.end()
		// Sometimes it is renewed, by the same holder.
		renew, cancel := context.WithTimeout(ctx, 3*time.Second)
		g, err = l.Obtain(renew)
		cancel()
		if err != nil {
			return nil // what a try that failed has left ends by the clock
		}
	}
	if e.Rand.IntN(2) == 0 {
		give, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		l.Release(give)
	}
	return nil
}

func checkLease(ops []history.Op) []program.Violation {
	all := holds(ops, "/lease")
	bad := slices.Concat(overlaps(all), disorder(all), orphans(ops))
	for i := range ops {
		if ops[i].Kind == "stuck" {
			bad = append(bad, program.Violated("it ends by the clock", "nobody got it in the end: %s", ops[i].Out))
		}
	}
	return bad
}
