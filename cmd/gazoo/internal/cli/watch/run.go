package watch

import (
	"context"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

func run(ctx context.Context, o *options) error {
	return o.env.Stay(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		defer zk.AddListener(o.tellState)()
		w := &watcher{options: o, zk: zk, out: o.env.Printer()}
		follow := w.events
		switch {
		case o.data:
			follow = w.followData
		case o.children:
			follow = w.followChildren
		}
		return follow(ctx)
	})
}

// tellState keeps the person informed about the connection.
func (o *options) tellState(change gazoo.StateChange) bool {
	switch change.To {
	case gazoo.StateSuspended:
		o.env.Say("connection to %s lost, looking for a server", change.Server)
	case gazoo.StateLost:
		o.env.Say("session lost")
	case gazoo.StateConnected:
		o.env.Say("connected to %s again", change.Server)
	}
	return false
}

type watcher struct {
	*options
	zk    *gazoo.Client
	out   *output.Printer
	lines int // that count
}

// print writes one line at once and reports whether it was the last one asked for.
func (w *watcher) print(l line, counts bool) (last bool, err error) {
	if err := w.out.Show(l.object, func() { w.out.Line(l.fields...) }); err != nil {
		return true, err
	}
	if counts {
		w.lines++
	}
	return w.count > 0 && w.lines >= w.count, nil
}

// announce tells the person that everything from here on is seen.
func (w *watcher) announce() { w.env.Say("watching %s until Ctrl-C", w.path) }

func (w *watcher) events(ctx context.Context) error {
	stream, err := w.open(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	w.announce()
	for {
		ev, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if last, err := w.print(eventLine(w.path, ev), ev.Gap == gazoo.GapNone); last || err != nil {
			return err
		}
	}
}

// open sets the watch within --timeout.
func (w *watcher) open(ctx context.Context) (*gazoo.Stream, error) {
	ctx, cancel := w.env.Bound(ctx)
	defer cancel()
	var opts []gazoo.StreamOption
	if w.recursive {
		opts = append(opts, gazoo.Recursive())
	}
	return w.zk.Watch(ctx, w.path, opts...)
}

func (w *watcher) followData(ctx context.Context) error {
	w.announce()
	for state, err := range w.zk.WatchData(ctx, w.path) {
		if err != nil {
			return err
		}
		if last, err := w.print(dataLine(w.path, state), true); last || err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) followChildren(ctx context.Context) error {
	w.announce()
	for state, err := range w.zk.WatchChildren(ctx, w.path) {
		if err != nil {
			return err
		}
		if last, err := w.print(childrenLine(w.path, state), true); last || err != nil {
			return err
		}
	}
	return nil
}
