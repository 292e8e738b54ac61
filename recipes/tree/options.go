package tree

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Errors of this package.
var (
	// ErrExists says that the destination holds something already, and no option says what to do about it.
	ErrExists = errors.New("destination exists")
	// ErrEphemeral says that there is an ephemeral in the source, and no option says what to do about it.
	ErrEphemeral = errors.New("holds an ephemeral")
	// ErrMaskedACL says that the server shows an ACL without its passwords, since this client has no Admin permission
	// on the znode: a copy of that ACL would let nobody in.
	ErrMaskedACL = errors.New("digest passwords of the ACL are masked")
	// ErrChanged says that a znode changed between its copy and its removal. It is still there.
	ErrChanged = errors.New("changed during the move")
	// ErrRestless says that a subtree changed during every try to take a snapshot of it.
	ErrRestless = errors.New("subtree does not keep still")
)

// Option changes how a subtree is treated. One that has no meaning for a function is refused by it.
type Option func(*config)

// EphemeralPolicy says what to do about ephemerals in the source.
type EphemeralPolicy int

// The policies.
const (
	// SkipEphemerals leaves them out; steps and results tell ([Skipped]). A delete lets them, and what is above
	// them, be. It is the default of Copy and Restore, and does not go with Move.
	SkipEphemerals EphemeralPolicy = iota + 1
	// RefuseEphemerals fails with [ErrEphemeral] before anything is written. It is the default of Move.
	RefuseEphemerals
	// IncludeEphemerals treats them like others: copies are persistent. It is the default of Delete.
	IncludeEphemerals
)

type existing int

const (
	refuseExisting existing = iota
	keepExisting
	overwriteExisting
)

type config struct {
	existing   existing
	ephemerals EphemeralPolicy
	acls       bool
	dry        bool
	keepRoot   bool
	atomic     bool
	progress   func(Step)
	tries      int

	given    []string
	problems []error
}

func (c *config) give(name string) { c.given = append(c.given, name) }

// Merge lets the destination hold znodes already: those stay as they are, and what is missing is added.
func Merge() Option {
	return func(c *config) { c.give("Merge"); c.existing = keepExisting }
}

// Overwrite lets the destination hold znodes already: their data, and with [KeepACLs] their ACLs, are replaced, whatever
// their versions. Children that the source does not have stay.
func Overwrite() Option {
	return func(c *config) { c.give("Overwrite"); c.existing = overwriteExisting }
}

// Ephemerals says what to do about ephemerals.
func Ephemerals(p EphemeralPolicy) Option {
	return func(c *config) {
		c.give("Ephemerals")
		if p < SkipEphemerals || p > IncludeEphemerals {
			c.problem("Ephemerals", "%d is no policy", p)
		}
		c.ephemerals = p
	}
}

// KeepACLs gives the copies the ACLs of the source. Without it they get the destination client's default. An ACL that
// forbids this client to create children stops the copy there.
func KeepACLs() Option { return func(c *config) { c.give("KeepACLs"); c.acls = true } }

// DryRun writes nothing: steps and results tell what would be done.
func DryRun() Option { return func(c *config) { c.give("DryRun"); c.dry = true } }

// KeepRoot deletes what is below the root, and not itself.
func KeepRoot() Option { return func(c *config) { c.give("KeepRoot"); c.keepRoot = true } }

// Atomic moves the subtree in one transaction, or not at all. It has to fit into one request
// ([gazoo.WithMaxRequest], and the servers' jute.maxbuffer), and both places must be reached by one client.
func Atomic() Option { return func(c *config) { c.give("Atomic"); c.atomic = true } }

// WithProgress has fn told of each step that was done, on the goroutine of the call.
func WithProgress(fn func(Step)) Option {
	return func(c *config) { c.give("WithProgress"); c.progress = fn }
}

// WithTries is how often a snapshot looks for changes before it gives up (default 20).
func WithTries(n int) Option {
	return func(c *config) {
		c.give("WithTries")
		if n < 1 {
			c.problem("WithTries", "%d is not a number of tries", n)
		}
		c.tries = n
	}
}

func (c *config) problem(arg, format string, a ...any) {
	c.problems = append(c.problems, &gazoo.ArgumentError{Arg: arg, Reason: fmt.Sprintf(format, a...)})
}

// place is a subtree: a path of a client.
type place struct {
	zk   *gazoo.Client
	path string
	arg  string // its name in errors
}

// abs returns the path without any chroot.
func (p place) abs() string { return gazoo.JoinPath(p.zk.Root(), p.path) }

// child returns the path of a name relative to the root of the subtree, "" for the root itself.
func (p place) child(rel string) string { return gazoo.JoinPath(p.path, rel) }

// within reports whether path is root or below it.
func within(path, root string) bool {
	return root == "/" || path == root || strings.HasPrefix(path, root+"/")
}

// system reports whether an absolute path belongs to the servers.
func system(abs string) bool { return within(abs, "/zookeeper") }

// configure is the one place where arguments are checked.
func configure(op string, def config, opts []Option, allowed string, places ...place) (*config, error) {
	c := def
	for _, opt := range opts {
		opt(&c)
	}
	for _, name := range c.given {
		if !slices.Contains(strings.Fields(allowed), name) {
			c.problem(name, "means nothing to %s", op)
		}
	}
	for _, p := range places {
		if p.zk == nil {
			c.problem(p.arg+" client", "is nil")
		}
		if err := gazoo.ValidatePath(p.path); err != nil {
			c.problems = append(c.problems, fmt.Errorf("%s: %w", p.arg, err))
		}
	}
	c.tries = cmp.Or(c.tries, 20)
	if err := errors.Join(c.problems...); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return &c, nil
}

// apart checks that neither of two places lies inside the other.
func apart(op string, src, dst place) error {
	s, d := src.abs(), dst.abs()
	if !within(s, d) && !within(d, s) || !sameServers(src.zk, dst.zk) {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, src.path, &gazoo.ArgumentError{
		Arg: "destination", Reason: fmt.Sprintf("%s and the source lie one inside the other", dst.path),
	})
}

// sameClient reports whether two clients are views of one: they share its context.
func sameClient(a, b *gazoo.Client) bool { return a.Context() == b.Context() }

// sameServers reports whether two clients may be connected to the same tree: they are views of one, or share a host.
func sameServers(a, b *gazoo.Client) bool {
	if sameClient(a, b) {
		return true
	}
	hosts := b.Hosts()
	return slices.ContainsFunc(a.Hosts(), func(h gazoo.Host) bool {
		return slices.ContainsFunc(hosts, func(o gazoo.Host) bool { return o.Addr() == h.Addr() })
	})
}

// Action is what was done to a znode.
type Action int

// The actions.
const (
	Created Action = iota + 1
	Updated        // data replaced
	Kept           // existed, and stays as it is
	Skipped        // ephemeral
	Deleted
	Verified // found in the destination as in the source, which has not changed
)

// String returns the action in lower case.
func (a Action) String() string {
	names := []string{"", "created", "updated", "kept", "skipped", "deleted", "verified"}
	if a < 1 || int(a) >= len(names) {
		return fmt.Sprintf("Action(%d)", int(a))
	}
	return names[a]
}

// Step is one znode that is done.
type Step struct {
	Action Action
	Path   string // in the destination; what is skipped, deleted or verified in the source
	Done   int    // steps of this kind so far
	Total  int    // znodes of the subtree, as far as known
}

// Result counts what was done, or would be done ([DryRun]), also beside an error.
type Result struct {
	Created, Updated, Kept, Skipped, Deleted, Verified int

	Bytes int64 // of data written
}

func (r *Result) count(a Action) *int {
	switch a {
	case Created:
		return &r.Created
	case Updated:
		return &r.Updated
	case Kept:
		return &r.Kept
	case Skipped:
		return &r.Skipped
	case Deleted:
		return &r.Deleted
	default:
		return &r.Verified
	}
}

// job is one call in progress.
type job struct {
	*config
	total  int
	result Result
}

func (j *job) step(a Action, path string) {
	n := j.result.count(a)
	*n++
	if j.progress != nil {
		j.progress(Step{Action: a, Path: path, Done: *n, Total: j.total})
	}
}
