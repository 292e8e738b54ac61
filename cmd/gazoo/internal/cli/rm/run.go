package rm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// errDeclined says that the person said no.
var errDeclined = errors.New("not confirmed, nothing was deleted")

// system reports whether an absolute path belongs to the servers themselves.
func system(path string) bool {
	return path == "/zookeeper" || strings.HasPrefix(path, "/zookeeper/")
}

func run(ctx context.Context, o *options) error {
	if !o.recursive {
		return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
			err := zk.Delete(ctx, o.path, o.version)
			if errors.Is(err, gazoo.ErrNotEmpty) {
				err = exit.Explain(err, "rm %s: the znode has children (-r deletes them too)", o.path)
			}
			return err
		})
	}
	if !o.yes {
		if err := o.confirm(ctx); err != nil {
			return err
		}
	}
	return o.env.Do(ctx, o.deleteTree)
}

// confirm says what would be deleted, and asks. The time that takes is no part of --timeout.
func (o *options) confirm(ctx context.Context) error {
	below := "everything"
	err := o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		n, err := zk.AllChildrenNumber(ctx, o.path)
		if errors.Is(err, gazoo.ErrUnimplemented) || errors.Is(err, gazoo.ErrNotSupported) {
			return nil // a server that cannot count
		}
		below = znodes(n)
		return err
	})
	if err != nil {
		return err
	}
	yes, err := o.env.Ask(ctx, fmt.Sprintf("Delete %s and %s below it, on %s?", o.path, below, o.env.Options.Servers))
	if err == nil && !yes {
		err = errDeclined
	}
	return err
}

// deleteTree deletes the subtree; of "/", which cannot be deleted, what is below it.
func (o *options) deleteTree(ctx context.Context, zk *gazoo.Client) error {
	deleted := 0
	defer func() {
		if deleted > 0 { // also when it ends with an error
			o.env.Say("deleted %s", znodes(deleted))
		}
	}()
	paths := []string{o.path}
	if o.path == "/" {
		names, err := zk.Children(ctx, "/")
		if err != nil {
			return err
		}
		paths = paths[:0]
		for _, name := range names {
			absolute, err := o.env.Absolute("/" + name)
			if err != nil {
				return err
			}
			if !system(absolute) {
				paths = append(paths, "/"+name)
			}
		}
	}
	before := 0
	for _, path := range paths {
		err := zk.DeleteRecursive(ctx, path, func(n int) { deleted = before + n })
		if err != nil && !(errors.Is(err, gazoo.ErrNoNode) && o.path == "/") {
			return err
		}
		before = deleted
	}
	return nil
}

func znodes(n int) string {
	if n == 1 {
		return "1 znode"
	}
	return fmt.Sprintf("%d znodes", n)
}
