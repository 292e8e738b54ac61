// Package seed makes the znodes that the loads need on a server with a tree.
package seed

import (
	"context"
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/bench/internal/canned"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

// Plant makes what a load reads and writes. What is there already stays.
func Plant(ctx context.Context, hosts string, s load.Spec) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	zk, err := gazoo.Connect(ctx, hosts)
	if err != nil {
		return err
	}
	defer zk.Close()
	path := s.Path()
	switch s.Op {
	case load.Create, load.Multi:
		_, err := zk.EnsurePath(ctx, load.Root+"/create")
		return err
	case load.Children:
		created, err := zk.EnsurePath(ctx, path)
		if err != nil || !created {
			return err
		}
		var last gazoo.Future[gazoo.Created]
		for i := range s.Names {
			last = zk.Async().Create(ctx, path+"/"+canned.Name(i), nil)
		}
		if s.Names > 0 {
			_, err = last.Wait(ctx)
		}
		return err
	}
	_, err = zk.Create(ctx, path, s.Data(), gazoo.Parents())
	if errors.Is(err, gazoo.ErrNodeExists) {
		err = nil
	}
	return err
}
