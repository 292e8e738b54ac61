package election

import (
	"errors"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
)

// Style is how candidates are named, which decides whether other libraries wait for them: see the package comment.
type Style struct{ contend.Style }

// The styles.
var (
	Kazoo        = Style{contend.Kazoo}        // 32 hex digits, __lock__, number
	Curator      = Style{contend.CuratorMutex} // _c_UUID-lock- and number: LeaderSelector
	CuratorLatch = Style{contend.CuratorLatch} // _c_UUID-latch- and number: LeaderLatch
)

// Custom names candidates _c_UUID-, a text of one's own and the number.
func Custom(marker string) Style { return Style{contend.Custom(marker, "")} }

type config struct {
	style    Style
	reader   contend.Reader
	identity string
	acl      []gazoo.ACL
	quorum   bool
	once     bool
	requeue  func(err error) bool
}

// Option changes how a candidate takes part.
type Option func(*config)

// WithStyle chooses how this candidate is named (default [Kazoo]).
func WithStyle(s Style) Option { return func(c *config) { c.style = s } }

// WithIdentity tells others who this candidate is (default: the empty string). Hand-overs go by it, so it should be
// the candidate's alone.
func WithIdentity(id string) Option { return func(c *config) { c.identity = id } }

// WithMarkers adds texts in front of the number by which candidates of others are recognised, beside those of all known
// libraries.
func WithMarkers(markers ...string) Option {
	return func(c *config) { c.reader.Exclusive = append(c.reader.Exclusive, markers...) }
}

// WithACL gives the candidates, and the path when it has to be made, an ACL other than the client's default. Candidates
// must be able to read each other, and for hand-overs to write.
func WithACL(acl ...gazoo.ACL) Option { return func(c *config) { c.acl = acl } }

// WithQuorum keeps a leadership only as long as the ensemble commits writes for it: see [tenure.Quorum].
func WithQuorum() Option { return func(c *config) { c.quorum = true } }

// WithOneSession makes a campaign fail when its session ends, instead of queueing again in the next one. Behind the end of
// a leadership by the end of its session, neither [Election.Run] nor a [Latch] campaigns again.
func WithOneSession() Option { return func(c *config) { c.once = true } }

// WithRequeue makes [Election.Run] campaign again when its function has returned nil or the leadership was lost, until
// the function fails or the context ends.
func WithRequeue() Option {
	return WithRequeueIf(func(err error) bool { return err == nil || errors.Is(err, ErrLost) })
}

// WithRequeueIf makes [Election.Run] campaign again when again says so, which is told what Run would return: an error that
// matches [ErrLost] of a leadership that was lost, and otherwise the function's.
func WithRequeueIf(again func(err error) bool) Option { return func(c *config) { c.requeue = again } }

func configure(zk *gazoo.Client, path string, opts []Option) (*config, error) {
	c := &config{style: Kazoo}
	for _, opt := range opts {
		opt(c)
	}
	var problems []error
	bad := func(arg, reason string) { problems = append(problems, &gazoo.ArgumentError{Arg: arg, Reason: reason}) }
	if zk == nil {
		bad("client", "is nil")
	}
	if err := gazoo.ValidatePath(path); err != nil {
		problems = append(problems, err)
	}
	if !c.style.Has(contend.Exclusive) {
		bad("style", "has no name for a candidate")
	}
	if strings.HasPrefix(c.identity, grantPrefix) {
		bad("identity", "begins like the mark of a hand-over")
	}
	for _, m := range c.reader.Exclusive {
		if m == "" {
			bad("marker", "is empty")
		}
	}
	c.reader = c.style.Reader(c.reader)
	return c, errors.Join(problems...)
}
