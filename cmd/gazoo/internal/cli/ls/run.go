package ls

import (
	"context"
	"slices"
	"strconv"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/walk"
)

var heading = []string{"NAME", "VERSION", "BYTES", "CHILDREN", "MODIFIED", "OWNER"}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		l := &lister{options: o, out: o.env.Printer()}
		list := l.names
		if o.recursive || o.stat {
			list = l.walk
		}
		if err := list(ctx, zk); err != nil {
			return err
		}
		return l.out.Flush()
	})
}

type lister struct {
	*options
	out  *output.Printer
	rows [][]string // of the table, with --stat
}

// names is the short way: one request.
func (l *lister) names(ctx context.Context, zk *gazoo.Client) error {
	names, err := zk.Children(ctx, l.path)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		l.show(walk.Node{Path: gazoo.JoinPath(l.path, name), Name: name})
	}
	return nil
}

func (l *lister) walk(ctx context.Context, zk *gazoo.Client) error {
	depth := 1
	if l.recursive {
		depth = walk.Unlimited
	}
	var denied error
	for n, err := range walk.Tree(ctx, zk, l.path, depth) {
		if err != nil {
			return err
		}
		if n.Denied != nil && l.recursive {
			l.env.Say("%s", exit.Message(n.Denied))
			denied = n.Denied
		}
		if n.Depth == 0 && !l.recursive {
			continue // its children are asked for, not itself
		}
		l.show(n)
	}
	if l.rows != nil {
		l.out.Table(heading, l.rows)
	}
	if denied != nil {
		l.out.Flush()
		return exit.Explain(denied, "the list is not complete")
	}
	return nil
}

type result struct {
	Path string       `json:"path"`
	Name string       `json:"name"`
	Stat *output.Stat `json:"stat,omitempty"`
}

func (l *lister) show(n walk.Node) {
	known := l.stat && n.Denied == nil
	if l.out.JSON() {
		r := result{Path: n.Path, Name: gazoo.BaseName(n.Path)}
		if known {
			r.Stat = output.StatOf(n.Stat)
		}
		l.out.Object(r)
		return
	}
	name := n.Name
	if l.recursive {
		name = n.Path
	}
	switch {
	case !l.stat:
		l.out.Line(name)
	case !known:
		l.rows = append(l.rows, []string{name, "?", "?", "?", "?", "?"})
	default:
		l.rows = append(l.rows, row(name, n.Stat))
	}
}

func row(name string, s gazoo.Stat) []string {
	owner := "-"
	if id, ok := s.OwnerSessionID(); ok {
		owner = output.Hex(id)
	}
	return []string{
		name, strconv.Itoa(int(s.Version)), strconv.Itoa(int(s.DataLength)), strconv.Itoa(int(s.NumChildren)),
		output.Time(s.Modified()), owner,
	}
}
