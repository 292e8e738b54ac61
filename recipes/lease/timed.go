package lease

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Timed is a lease on the servers' time: a znode with a TTL, which they delete when it was not written for the duration
// of the lease. Clients' clocks need not agree with anybody's; they must only run at the same speed, to a tenth. It needs ZooKeeper 3.5
// with extended types enabled. Safe for concurrent use; it needs no close.
//
// Servers look for what is due once a minute, unless configured otherwise, so a lease that was not released is free
// that much later.
type Timed struct {
	zk       *gazoo.Client
	path     string
	duration time.Duration
	cfg      *config
}

// NewTimed makes a lease at a path. Nothing is sent. The duration is at least a second.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewTimed(zk *gazoo.Client, path string, duration time.Duration, opts ...Option) (*Timed, error) {
	cfg, err := configure(zk, path, duration, time.Second, opts)
	if err != nil {
		return nil, err
	}
	return &Timed{zk: zk, path: path, duration: duration, cfg: cfg}, nil
}

// TimedGrant is a lease on the server's time that was obtained. Safe for concurrent use.
type TimedGrant struct {
	lease *Timed
	path  string // of its own znode, a name that no other grant ever has
	token int64

	mu   sync.Mutex
	sent time.Time // of the newest write that was acknowledged
	over error     // why there is nothing to renew
}

// Obtain gets the lease: a znode with a number of its own, which holds when no other has a lower one. Of several
// that ask at one moment while somebody gives it up it may be that none gets it.
//
// Errors: [*TakenError]; [gazoo.ErrUnimplemented], the server has no TTLs; the context's, when what may have been
// obtained runs out by itself; [gazoo.ErrNoAuth].
func (l *Timed) Obtain(ctx context.Context) (*TimedGrant, error) {
	grant, err := l.obtain(ctx)
	if err != nil {
		return nil, fmt.Errorf("obtain lease %s: %w", l.path, err)
	}
	return grant, nil
}

func (l *Timed) obtain(ctx context.Context) (*TimedGrant, error) {
	opts := []gazoo.CreateOption{gazoo.TTL(l.duration), gazoo.Parents(), gazoo.Sequential(), gazoo.Protected()}
	if l.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(l.cfg.acl...))
	}
	// The moment before the first try: which one was applied does not matter then.
	g := &TimedGrant{lease: l, sent: time.Now()}
	path, stat, err := l.zk.CreateStat(ctx, gazoo.JoinPath(l.path, contender[1:]), []byte(l.cfg.holder), opts...)
	if err != nil {
		return nil, err
	}
	g.path, g.token = path, stat.Czxid
	first, err := l.first(ctx)
	switch {
	case err == nil && first == gazoo.BaseName(path):
		return g, nil
	case err == nil && first != "":
		holder, _, err := l.read(ctx, first)
		g.remove(ctx)
		if err != nil {
			return nil, err
		}
		return nil, &TakenError{Path: l.path, Holder: holder}
	case err == nil: // it has run out already
		return nil, fmt.Errorf("%w: %s", ErrExpired, l.path)
	}
	g.remove(ctx)
	return nil, err
}

// contender begins the names of the znodes, behind the GUID of a protected create.
const contender = "-lease-"

// first returns the name of the znode that holds; "" when there is none. Numbers are compared as the counter runs.
func (l *Timed) first(ctx context.Context) (string, error) {
	for {
		names, err := l.zk.Children(ctx, l.path)
		if errors.Is(err, gazoo.ErrNoNode) {
			return "", nil
		}
		if err != nil && retry.Lost(err) && ctx.Err() == nil {
			continue
		}
		first, lowest := "", int32(0)
		for _, name := range names {
			_, number, ok := strings.Cut(name, contender)
			n, err := strconv.ParseInt(number, 10, 32)
			seq := int32(n)
			if !ok || err != nil {
				continue
			}
			if first == "" || seq-lowest < 0 {
				first, lowest = name, seq
			}
		}
		return first, err
	}
}

func (l *Timed) read(ctx context.Context, name string) (holder string, found bool, err error) {
	for {
		data, _, err := l.zk.Get(ctx, gazoo.JoinPath(l.path, name))
		switch {
		case errors.Is(err, gazoo.ErrNoNode):
			return "", false, nil
		case err == nil || !retry.Lost(err) || ctx.Err() != nil:
			return string(data), err == nil, err
		}
	}
}

// Holder returns who has the lease at present, false when nobody does.
func (l *Timed) Holder(ctx context.Context) (string, bool, error) {
	first, err := l.first(ctx)
	if err != nil || first == "" {
		return "", false, err
	}
	holder, found, err := l.read(ctx, first)
	if err != nil {
		return "", false, fmt.Errorf("read lease %s: %w", l.path, err)
	}
	return holder, found, nil
}

// Token returns the fencing token: a zxid that grows with every grant.
func (g *TimedGrant) Token() int64 { return g.token }

// Err returns nil while the grant holds: for nine tenths of the duration after the send time of the newest write that the
// server has acknowledged, on whichever of the monotonic and the wall clock advanced more. Then it is [ErrExpired].
func (g *TimedGrant) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err()
}

func (g *TimedGrant) err() error {
	if g.over == nil && g.left() <= 0 {
		return fmt.Errorf("%w: %s", ErrExpired, g.lease.path)
	}
	return g.over
}

// left returns how long the grant holds without a further write.
func (g *TimedGrant) left() time.Duration {
	now := time.Now()
	age := max(now.Sub(g.sent), now.Round(0).Sub(g.sent.Round(0)))
	return g.lease.duration - g.lease.duration/10 - age
}

// Renew writes the grant's znode, from when on the lease lasts its whole duration again. Lost connections are waited out.
//
// Errors: [ErrExpired]; the context's, when it is not known whether it was renewed, and the grant holds as long as it did
// before.
func (g *TimedGrant) Renew(ctx context.Context) error {
	for {
		if err := g.Err(); err != nil {
			return err // the znode may still be there, but this grant has been taken for over
		}
		sent := time.Now()
		_, err := g.lease.zk.Set(ctx, g.path, []byte(g.lease.cfg.holder), gazoo.AnyVersion)
		switch {
		case err == nil:
			g.mu.Lock()
			if sent.After(g.sent) {
				g.sent = sent
			}
			g.mu.Unlock()
			return g.Err()
		case errors.Is(err, gazoo.ErrNoNode):
			return g.end(fmt.Errorf("%w: %s: %w", ErrExpired, g.lease.path, err))
		case !retry.Lost(err) || ctx.Err() != nil:
			return fmt.Errorf("renew lease %s: %w", g.lease.path, err)
		}
	}
}

// end notes that there is nothing to renew any more.
func (g *TimedGrant) end(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over == nil {
		g.over = err
	}
	return g.over
}

// Keep renews the grant three times in its duration until ctx ends or the grant does, and returns why.
//
// Errors: [ErrExpired], and the context's.
func (g *TimedGrant) Keep(ctx context.Context) error {
	tick := time.NewTicker(g.lease.duration / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		g.mu.Lock()
		left := g.left()
		g.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, max(left, 0))
		err := g.Renew(bounded)
		cancel()
		if over := g.Err(); over != nil {
			return over
		}
		if err != nil && ctx.Err() == nil && !retry.Lost(err) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// Txn begins a transaction that the server applies only while the grant's znode is there: its first operation checks
// that. It needs no clock.
func (g *TimedGrant) Txn() *gazoo.Txn { return g.lease.zk.Txn().Check(g.path, gazoo.AnyVersion) }

// Release deletes the znode: others can obtain the lease at once. Lost connections are waited out.
//
// Errors: the context's, when the znode may be there until it runs out; [gazoo.ErrNoAuth].
func (g *TimedGrant) Release(ctx context.Context) error {
	g.end(fmt.Errorf("%w: %s: released", ErrExpired, g.lease.path))
	if err := g.remove(ctx); err != nil {
		return fmt.Errorf("release lease %s: %w", g.lease.path, err)
	}
	return nil
}

// remove deletes the znode, whose name is nobody else's.
func (g *TimedGrant) remove(ctx context.Context) error {
	return g.lease.zk.DeleteIdempotent(ctx, g.path, gazoo.AnyVersion)
}
