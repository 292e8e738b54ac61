package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// Errors of this package.
var (
	// ErrTaken says that somebody else has the lease: see [TakenError].
	ErrTaken = errors.New("lease is taken")
	// ErrExpired says that a grant is over, by the holder's clock.
	ErrExpired = errors.New("lease expired")
)

// TakenError says who has the lease. It matches [ErrTaken].
type TakenError struct {
	Path   string    // of the lease
	Holder string    // "" when it is not known
	End    time.Time // of the lease; zero when it is not known
	Reason string    // set when the record is not one that this package understands
}

// Error names the holder and the end, or why the record was not understood.
func (e *TakenError) Error() string {
	switch {
	case e.Reason != "":
		return fmt.Sprintf("%v: %s: %s", ErrTaken, e.Path, e.Reason)
	case e.End.IsZero():
		return fmt.Sprintf("%v: %s by %q", ErrTaken, e.Path, e.Holder)
	}
	return fmt.Sprintf("%v: %s by %q until %v", ErrTaken, e.Path, e.Holder, e.End.UTC().Format(time.RFC3339))
}

// Is makes it match ErrTaken.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

type config struct {
	holder   string
	now      func() time.Time
	acl      []gazoo.ACL
	problems []error
}

// Option changes a lease.
type Option func(*config)

// WithHolder is the holder's name, by which it renews (default: the host's name). Contenders of one name share the lease.
func WithHolder(name string) Option {
	return func(c *config) {
		if c.holder = name; name == "" {
			c.refuse("WithHolder", "empty")
		}
	}
}

// WithClock replaces the clock that ends are compared with (default [time.Now]). A [Timed] has no use for it.
func WithClock(now func() time.Time) Option {
	return func(c *config) {
		if c.now = now; now == nil {
			c.refuse("WithClock", "nil")
		}
	}
}

// WithACL gives the znodes of the lease an ACL other than the client's default.
func WithACL(acl ...gazoo.ACL) Option {
	return func(c *config) { c.acl = slices.Clone(acl) }
}

func (c *config) refuse(arg, reason string) {
	c.problems = append(c.problems, &gazoo.ArgumentError{Arg: arg, Reason: reason})
}

// configure checks everything together.
func configure(zk *gazoo.Client, path string, d, shortest time.Duration, opts []Option) (*config, error) {
	c := &config{now: time.Now}
	for _, opt := range opts {
		opt(c)
	}
	if zk == nil {
		c.refuse("zk", "nil")
	}
	if err := gazoo.ValidatePath(path); err != nil {
		c.problems = append(c.problems, err)
	}
	if d < shortest {
		c.refuse("duration", fmt.Sprintf("%v is less than %v", d, shortest))
	}
	if c.holder == "" && len(c.problems) == 0 {
		host, err := os.Hostname()
		if err != nil {
			c.problems = append(c.problems, fmt.Errorf("name of the holder: %w", err))
		}
		c.holder = host
	}
	if err := errors.Join(c.problems...); err != nil {
		return nil, fmt.Errorf("new lease: %w", err)
	}
	return c, nil
}

// Lease is a lease that one holder at a time can have. Safe for concurrent use; it needs no close.
type Lease struct {
	zk       *gazoo.Client
	path     string
	duration time.Duration
	cfg      *config
	guard    *lock.Mutex
}

// New makes a lease at a path. Nothing is sent. The duration is at least a second, and counts from the moment of a grant
// or a renewal; ends are whole seconds, so a lease may be up to a second shorter.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New(zk *gazoo.Client, path string, duration time.Duration, opts ...Option) (*Lease, error) {
	cfg, err := configure(zk, path, duration, time.Second, opts)
	if err != nil {
		return nil, err
	}
	return newLease(zk, path, duration, cfg)
}

func newLease(zk *gazoo.Client, path string, duration time.Duration, cfg *config) (*Lease, error) {
	opts := []lock.Option{lock.WithIdentity([]byte(cfg.holder))}
	if cfg.acl != nil {
		opts = append(opts, lock.WithACL(cfg.acl...))
	}
	guard, err := lock.New(zk, path, opts...)
	if err != nil {
		return nil, fmt.Errorf("new lease: %w", err)
	}
	return &Lease{zk: zk, path: path, duration: duration, cfg: cfg, guard: guard}, nil
}

// Path returns the path of the lease.
func (l *Lease) Path() string { return l.path }

// Record is what a lease's znode says.
type Record struct {
	Holder string
	End    time.Time // in UTC, to the second
}

// The stored form, which is Kazoo's.
const (
	recordVersion = 1
	timeFormat    = "2006-01-02T15:04:05"
)

type stored struct {
	Version int    `json:"version"`
	Holder  string `json:"holder"`
	End     string `json:"end"`
}

func (r Record) encode() []byte {
	data, _ := json.Marshal(stored{recordVersion, r.Holder, r.End.UTC().Format(timeFormat)}) // strings never fail
	return data
}

// decode returns the record, or why it is not understood.
func decode(data []byte) (r Record, reason string) {
	var version struct{ Version *json.Number }
	if err := json.Unmarshal(data, &version); err != nil || version.Version == nil {
		return r, "a record without a version"
	}
	if version.Version.String() != strconv.Itoa(recordVersion) {
		return r, "a record of version " + version.Version.String()
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return r, "a record that is not understood"
	}
	end, err := time.Parse(timeFormat, s.End)
	if err != nil {
		return r, "a record whose end is not understood"
	}
	return Record{Holder: s.Holder, End: end}, ""
}

func (l *Lease) recordPath() string { return gazoo.JoinPath(l.path, "lease_holder") }

// Grant is a lease that was obtained. It needs no release: it ends by the clock.
type Grant struct {
	Record
	Path string // of the lease

	token int64
	lease *Lease
}

// Token returns the fencing token: a zxid that grows with every grant and renewal of the lease, whoever gets it.
func (g *Grant) Token() int64 { return g.token }

// Err returns nil while the grant is not over by the holder's clock, and [ErrExpired] from then on. It asks nobody: a
// grant that was renewed by another Obtain is over at its own end.
func (g *Grant) Err() error {
	if g.lease.cfg.now().Before(g.End) {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrExpired, g.Path)
}

// Context returns a context that ends with [ErrExpired] as its cause when the grant does, or when parent does. The time
// until then is taken from the lease's clock and measured by the process. Cancel it when it is not needed any more.
func (g *Grant) Context(parent context.Context) (context.Context, context.CancelFunc) {
	left := g.End.Sub(g.lease.cfg.now())
	return context.WithTimeoutCause(parent, left, fmt.Errorf("%w: %s", ErrExpired, g.Path))
}

// Obtain gets the lease, or renews it when the same holder has it. It waits for the guard lock, which others have for
// moments only, and not for the lease.
//
// Errors: [*TakenError]; the context's, when it is not known whether the lease was obtained; [gazoo.ErrNoAuth].
func (l *Lease) Obtain(ctx context.Context) (*Grant, error) {
	var grant *Grant
	err := l.guarded(ctx, func(held *lock.Held) error {
		old, found, err := l.read(ctx)
		if err != nil {
			return err
		}
		now := l.cfg.now()
		if found && old.Holder != l.cfg.holder && now.Before(old.End) {
			return &TakenError{Path: l.path, Holder: old.Holder, End: old.End}
		}
		record := Record{Holder: l.cfg.holder, End: now.Add(l.duration).UTC().Truncate(time.Second)}
		if err := l.write(ctx, held, found, record.encode()); err != nil {
			return err
		}
		_, stat, err := l.zk.Get(ctx, l.recordPath())
		if err != nil {
			return err
		}
		grant = &Grant{Record: record, Path: l.path, token: stat.Czxid, lease: l}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("obtain lease %s: %w", l.path, err)
	}
	return grant, nil
}

// Release gives the lease up before its end, if the holder has it: others can obtain it at once. Kazoo's leases have no
// such thing, but honour it.
//
// Errors: [*TakenError] when somebody else has it; the context's; [gazoo.ErrNoAuth].
func (l *Lease) Release(ctx context.Context) error {
	err := l.guarded(ctx, func(held *lock.Held) error {
		old, found, err := l.read(ctx)
		switch {
		case err != nil || !found:
			return err
		case old.Holder != l.cfg.holder:
			return &TakenError{Path: l.path, Holder: old.Holder, End: old.End}
		}
		_, err = held.Txn().Delete(l.recordPath(), gazoo.AnyVersion).Commit(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("release lease %s: %w", l.path, err)
	}
	return nil
}

// Current returns the record of the lease, false when there is none. It may be over: compare its end.
//
// Errors: [*TakenError] for a record that is not understood; the context's; [gazoo.ErrNoAuth].
func (l *Lease) Current(ctx context.Context) (Record, bool, error) {
	for {
		record, found, err := l.read(ctx)
		if err != nil && retry.Lost(err) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return Record{}, false, fmt.Errorf("read lease %s: %w", l.path, err)
		}
		return record, found, nil
	}
}

// guarded runs fn while the guard lock is held, and again when the lock, the connection or the session was lost:
// fn reads again what a lost answer has left.
func (l *Lease) guarded(ctx context.Context, fn func(*lock.Held) error) error {
	for {
		err := l.once(ctx, fn)
		if err == nil || ctx.Err() != nil || !retry.Lost(err) && !errors.Is(err, lock.ErrLost) {
			return err
		}
	}
}

func (l *Lease) once(ctx context.Context, fn func(*lock.Held) error) error {
	var opts []gazoo.CreateOption
	if l.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(l.cfg.acl...))
	}
	// The lock would make a container, which goes when a lease was released; Kazoo makes a persistent znode.
	if _, err := l.zk.EnsurePath(ctx, l.path, opts...); err != nil {
		return err
	}
	held, err := l.guard.Lock(ctx)
	if err != nil {
		return err
	}
	defer held.Release(ctx)
	err = fn(held)
	if held.Lost(err) {
		return fmt.Errorf("%w: %w", lock.ErrLost, err)
	}
	return err
}

// read returns the record. A missing path is as good as a missing record.
func (l *Lease) read(ctx context.Context) (Record, bool, error) {
	data, _, err := l.zk.Get(ctx, l.recordPath())
	if errors.Is(err, gazoo.ErrNoNode) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, err
	}
	record, reason := decode(data)
	if reason != "" {
		return Record{}, false, &TakenError{Path: l.path, Reason: reason}
	}
	return record, true, nil
}

// write replaces the record by a new znode, as Kazoo does, so that its creation tells one grant from the next; in one
// transaction, which is refused once the guard lock has gone.
func (l *Lease) write(ctx context.Context, held *lock.Held, replace bool, data []byte) error {
	var opts []gazoo.CreateOption
	if l.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(l.cfg.acl...))
	}
	txn := held.Txn()
	if replace {
		txn.Delete(l.recordPath(), gazoo.AnyVersion)
	}
	_, err := txn.Create(l.recordPath(), data, opts...).Commit(ctx)
	return err
}
