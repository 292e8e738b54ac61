package create

import (
	"context"
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

func run(ctx context.Context, o *options) error {
	var data []byte
	if o.hasValue {
		var err error
		if data, err = o.env.Value(ctx, o.value); err != nil {
			return err
		}
	}
	opts, err := o.createOptions()
	if err != nil {
		return err
	}
	do := o.env.Do
	if o.hold {
		do = o.env.Stay
	}
	return do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		session := zk.Session()
		if session == nil {
			return gazoo.ErrSessionExpired
		}
		path, err := o.create(ctx, zk.InSession(session), data, opts)
		if err != nil {
			return err
		}
		if err := o.show(path, session); err != nil {
			return err
		}
		if o.hold {
			return o.keep(ctx, path, session)
		}
		return nil
	})
}

// create is bounded by --timeout even where the command is not.
func (o *options) create(ctx context.Context, zk *gazoo.Client, data []byte, opts []gazoo.CreateOption) (string, error) {
	ctx, cancel := o.env.Bound(ctx)
	defer cancel()
	path, err := zk.Create(ctx, o.path, data, opts...)
	if errors.Is(err, gazoo.ErrNoNode) && !o.parents {
		err = exit.Explain(err, "create %s: the parent does not exist (--parents makes it)", o.path)
	}
	return path, err
}

type result struct {
	Path    string `json:"path"`
	Session string `json:"session,omitempty"`
}

func (o *options) show(path string, session *gazoo.Session) error {
	r := result{Path: path}
	if o.ephemeral {
		r.Session = output.Hex(session.ID())
	}
	p := o.env.Printer()
	return p.Show(r, func() { p.Line(path) })
}

// keep waits until the session is lost or the person has enough.
func (o *options) keep(ctx context.Context, path string, session *gazoo.Session) error {
	if o.ephemeral {
		o.env.Say("holding session %s: %s lasts until Ctrl-C", output.Hex(session.ID()), path)
	} else {
		o.env.Say("holding session %s until Ctrl-C", output.Hex(session.ID()))
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-session.Tenancy().Done():
		err := context.Cause(session.Tenancy())
		return exit.Explain(err, "the session is lost, and what it held with it: %v", err)
	}
}
