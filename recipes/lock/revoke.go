package lock

import (
	"context"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// revocation is the data that asks a contender for the lock (Curator).
const revocation = "__REVOKE__"

// watchRevocation returns what is told of the data of the own znode. It may be told before begun, when the handle is not
// complete yet.
func (h *Held) watchRevocation(begun <-chan struct{}, fn func(*Held)) func([]byte, gazoo.Stat) {
	done := false
	return func(data []byte, _ gazoo.Stat) {
		if done || string(data) != revocation {
			return
		}
		done = true
		<-begun
		h.Withdraw(ErrRevoked)
		if fn != nil {
			go fn(h)
		}
	}
}

// Revoke asks a contender, as [Mutex.Contenders] lists it, to give the lock up: its znode's data becomes __REVOKE__, in
// place of its identity. What then happens is up to its program: a holder made with [WithRevocable] is told at once, a
// waiter as soon as it holds, and so are those of Curator that were made revocable; all others do not care. Revoke does
// not wait for the release.
//
// Errors: [gazoo.ErrBadArguments] when it is none of this lock's; [gazoo.ErrNoNode] when it has gone already;
// [gazoo.ErrNoAuth] (needs Write).
func (m *Mutex) Revoke(ctx context.Context, c Contender) error { return revoke(ctx, m.zk, m.path, c) }

func revoke(ctx context.Context, zk *gazoo.Client, dir string, c Contender) error {
	if parent, name := gazoo.SplitPath(c.Path); parent != dir || name == "" {
		return fmt.Errorf("revoke: %w", &gazoo.ArgumentError{Arg: "contender", Reason: fmt.Sprintf("%q is none of %s", c.Path, dir)})
	}
	for {
		_, err := zk.Set(ctx, c.Path, []byte(revocation), gazoo.AnyVersion)
		switch {
		case err == nil:
			return nil
		case (retry.Passing(err) || gazoo.SessionLost(err)) && ctx.Err() == nil && zk.Context().Err() == nil:
			// The name is of one contender alone, so to ask twice is to ask once.
		default:
			return fmt.Errorf("revoke: %w", err)
		}
	}
}
