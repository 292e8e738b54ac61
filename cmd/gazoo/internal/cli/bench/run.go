package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

func run(ctx context.Context, o *options) error {
	return o.env.Stay(ctx, func(ctx context.Context, zk *gazoo.Client) (err error) {
		clients := []*gazoo.Client{zk}
		for range o.connections - 1 {
			zk, release, err := o.connect(ctx)
			if err != nil {
				return err
			}
			defer release(ctx)
			clients = append(clients, zk)
		}
		root, err := o.makeRoot(ctx, zk)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.clean(ctx, zk, root)) }()
		if err := o.plant(ctx, zk, root); err != nil {
			return err
		}
		o.env.Say("measuring below %s for %v until Ctrl-C", root, o.duration)
		return o.measure(ctx, clients, root)
	})
}

// connect returns one more client.
func (o *options) connect(ctx context.Context) (*gazoo.Client, func(context.Context), error) {
	ctx, cancel := o.env.Bound(ctx)
	defer cancel()
	return o.env.Client(ctx)
}

// makeRoot makes the znode that everything happens below, and says in clear words when that cannot be.
func (o *options) makeRoot(ctx context.Context, zk *gazoo.Client) (string, error) {
	ctx, cancel := o.env.Bound(ctx)
	defer cancel()
	root, err := zk.Create(ctx, gazoo.JoinPath(o.path, "bench-"), nil, gazoo.Sequential())
	switch {
	case errors.Is(err, gazoo.ErrNoNode) && o.path == "/" && zk.Root() != "/":
		err = exit.Explain(err, "the chroot %s of --servers does not exist", zk.Root())
	case errors.Is(err, gazoo.ErrNoNode):
		err = exit.Explain(err, "bench: %s does not exist", o.path)
	case errors.Is(err, gazoo.ErrNotReadOnly):
		err = exit.Explain(err, "bench: the server is read-only, and its load needs znodes of its own")
	case errors.Is(err, gazoo.ErrNoAuth):
		err = exit.Explain(err, "bench: the ACL of %s does not let it create znodes there", o.path)
	case errors.Is(err, gazoo.ErrNoChildrenForEphemerals):
		err = exit.Explain(err, "bench: %s is ephemeral and cannot have children", o.path)
	}
	return root, err
}

// clean removes everything, after an interrupt too.
func (o *options) clean(ctx context.Context, zk *gazoo.Client, root string) error {
	deleted := 0
	ctx = context.WithoutCancel(ctx)
	for {
		// A million znodes take longer than --timeout; it is for standstill.
		before := deleted
		bound, cancel := o.env.Bound(ctx)
		err := zk.DeleteRecursive(bound, root, func(n int) { deleted = before + n })
		cancel()
		switch {
		case err == nil || errors.Is(err, gazoo.ErrNoNode):
			return nil
		case deleted == before || !errors.Is(err, context.DeadlineExceeded):
			return exit.Explain(err, "%s was not removed: %s; gazoo rm -r does that", root, exit.Message(err))
		}
	}
}

// plant makes the znodes that the operations concern.
func (o *options) plant(ctx context.Context, zk *gazoo.Client, root string) error {
	ctx, cancel := o.env.Bound(ctx)
	defer cancel()
	async := zk.Async()
	var all []gazoo.Future[gazoo.Created]
	add := func(path string, data []byte) { all = append(all, async.Create(ctx, path, data)) }
	for i := range o.znodes {
		add(znode(root, i), data(o.size))
	}
	add(root+"/created", nil)
	add(root+"/watched", nil)
	add(root+"/listed", nil)
	if o.mix.has(opChildren) {
		for i := range o.children {
			add(fmt.Sprintf("%s/listed/name-%07d", root, i), nil)
		}
	}
	if o.mix.has(opWatch) {
		for i := range o.connections * o.inFlight {
			add(watched(root, i), nil)
		}
	}
	for _, f := range all {
		if _, err := f.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func znode(root string, i int) string   { return fmt.Sprintf("%s/z%d", root, i) }
func watched(root string, i int) string { return fmt.Sprintf("%s/watched/w%d", root, i) }
func data(size int) []byte              { return make([]byte, size) }

// measure puts the load on and reports it. An interrupt ends it early; what was measured is reported all the same.
func (o *options) measure(ctx context.Context, clients []*gazoo.Client, root string) error {
	all := &tally{failures: map[string]int{}}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for c, zk := range clients {
		for i := range o.inFlight {
			w := newWorker(o, all, zk, root, c*o.inFlight+i)
			wg.Go(func() { w.work(working) })
		}
	}
	// A client ends by itself when its credential is refused or it was closed: nothing more can come of it.
	over := make(chan struct{})
	var once sync.Once
	for _, zk := range clients {
		defer context.AfterFunc(zk.Context(), func() { once.Do(func() { close(over) }) })()
	}
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		case <-over:
		}
	}
	pause(o.warmUp)
	begin, before := time.Now(), all.mark()
	pause(o.duration)
	took, after := time.Since(begin), all.mark()
	all.ended.Store(true) // what is in flight ends by itself, and failures from here on are our own doing
	patience := time.AfterFunc(o.env.Options.Timeout, stop)
	wg.Wait()
	patience.Stop()

	measured := after.since(before)
	if err := o.report(measured, all.failures, took); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case measured.none() && all.first == nil:
		return exit.Explain(context.DeadlineExceeded, "no operation has ended within %v", o.duration)
	}
	return o.explain(all)
}
