package lock

import (
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// Style is how contenders are named, which decides whether other libraries wait for them: see the package comment.
type Style struct{ contend.Style }

// The styles. The default is Kazoo.
var (
	Kazoo     = Style{contend.Kazoo}        // 32 hex digits, __lock__ or __rlock__ for readers, number
	Curator   = Style{contend.CuratorMutex} // _c_UUID-lock- and number; no readers
	CuratorRW = Style{contend.CuratorRW}    // _c_UUID-__WRIT__ or -__READ__ and number
	ZKRecipe  = Style{contend.ZKRecipe}     // x-, GUID, session id and number; no readers
)

// Custom names contenders _c_UUID-, a text of one's own and the number. shared is the text of readers, "" when there are
// none. The locks that share a path must know the texts: all that use this style do, others need [WithMarkers].
func Custom(exclusive, shared string) Style { return Style{contend.Custom(exclusive, shared)} }

type config struct {
	style    Style
	reader   contend.Reader
	data     []byte
	acl      []gazoo.ACL
	lasting  bool
	once     bool
	quorum   bool
	waiting  func(ahead int)
	revoke   func(*Held)
	revoked  bool // revoke was asked for; it may be nil
	reenter  bool
	sizeAt   *string // where the size of a semaphore is kept; nil when it is fixed
	problems []error
}

// Option changes how a lock is taken.
type Option func(*config)

// WithStyle chooses how this lock's contenders are named (default [Kazoo]).
func WithStyle(s Style) Option { return func(c *config) { c.style = s } }

// WithIdentity stores data in the contender's znode, which [Mutex.Contenders] shows: who it is.
func WithIdentity(data []byte) Option {
	data = append([]byte{}, data...)
	return func(c *config) { c.data = data }
}

// WithMarkers adds texts in front of the number by which contenders of others are recognised, beside those of all known
// libraries (Kazoo: extra_lock_patterns).
func WithMarkers(markers ...string) Option {
	return func(c *config) { c.reader.Exclusive = append(c.reader.Exclusive, markers...) }
}

// WithACL gives the contenders, and the path when it has to be made, an ACL other than the client's default. Whoever
// waits must be able to read the contenders, and to list the path.
func WithACL(acl ...gazoo.ACL) Option { return func(c *config) { c.acl = acl } }

// WithLasting makes contenders that are not ephemeral: the lock outlives its holder's session, until it is released
// (Kazoo: ephemeral=False). When its program dies, somebody has to delete the znode.
func WithLasting() Option { return func(c *config) { c.lasting = true } }

// WithOneSession makes a wait fail when its session ends, instead of queueing again in the next one.
func WithOneSession() Option { return func(c *config) { c.once = true } }

// WithQuorum holds the lock only as long as the ensemble commits writes for it: see [tenure.Quorum].
func WithQuorum() Option { return func(c *config) { c.quorum = true } }

// WithWaiting has fn told how many contenders are ahead, before each wait for one of them. fn runs on the goroutine
// that waits.
func WithWaiting(fn func(ahead int)) Option { return func(c *config) { c.waiting = fn } }

// WithRevocable lets others ask for the lock ([Mutex.Revoke], Curator's Revoker): when they do, the context of the
// holder ends with an [ErrRevoked], and fn, which may be nil, is called with the handle, on a goroutine of its own. The
// lock stays held, and is still guarded by its znode, until it is released: revocation is a request.
func WithRevocable(fn func(*Held)) Option {
	return func(c *config) { c.revoke, c.revoked = fn, true }
}

// WithReentrance lets a holder take the lock again: a Lock whose context comes from the context of a [Held] of the same
// lock, of the same client and path, returns at once with another handle of what is held already. The lock is released
// with the last of them. Without this option such a Lock fails with [ErrDeadlock].
func WithReentrance() Option { return func(c *config) { c.reenter = true } }

// WithSharedSize lets a znode say how many permits a semaphore has, which may change at any time, under waiters too
// ([Semaphore.Resize]). path is that of a Curator SharedCount; "" is the semaphore's own znode, where the size is text, as
// Kazoo writes it. The size given to [NewSemaphore] is what a missing one begins with.
func WithSharedSize(path string) Option { return func(c *config) { c.sizeAt = &path } }

// configure checks everything that a lock is made with.
func configure(zk *gazoo.Client, path string, opts []Option, roles ...contend.Role) (*config, error) {
	c := &config{style: Kazoo}
	for _, opt := range opts {
		opt(c)
	}
	if zk == nil {
		c.problems = append(c.problems, &gazoo.ArgumentError{Arg: "client", Reason: "is nil"})
	}
	if err := gazoo.ValidatePath(path); err != nil {
		c.problems = append(c.problems, err)
	}
	for _, role := range roles {
		if !c.style.Has(role) {
			c.problems = append(c.problems, &gazoo.ArgumentError{Arg: "style", Reason: "has no name for this kind of contender"})
			break
		}
	}
	for _, m := range c.reader.Exclusive {
		if m == "" {
			c.problems = append(c.problems, &gazoo.ArgumentError{Arg: "marker", Reason: "is empty"})
		}
	}
	c.reader = c.style.Reader(c.reader)
	return c, errors.Join(c.problems...)
}

// lockOnly checks what a lock is made with, of which a semaphore has more.
func (c *config) lockOnly(err error) error {
	if c.sizeAt != nil {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "shared size", Reason: "is for semaphores"})
	}
	return err
}

// tenureOptions are those of what is held.
func (c *config) tenureOptions() (opts []tenure.Option) {
	if c.quorum {
		opts = append(opts, tenure.Quorum())
	}
	return opts
}
