package cache

import (
	"context"

	"github.com/gazoo-zk/gazoo"
)

// open sets the watch, which waits for a connection.
func (o *owner[T]) open() (*gazoo.Stream, error) {
	var opts []gazoo.StreamOption
	if o.c.cfg.depth > 0 {
		opts = append(opts, gazoo.Recursive())
	}
	for {
		stream, err := o.c.zk.Watch(o.c.ctx, o.c.path, opts...)
		if err == nil || !passing(err) || o.c.ctx.Err() != nil {
			return stream, err
		}
	}
}

// pump brings events, and marks between them: whoever asks for a mark gets it behind all events that had arrived before.
func (o *owner[T]) pump(ctx context.Context, stream *gazoo.Stream, out chan<- any) {
	send := func(v any) bool {
		select {
		case out <- v:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		wait, interrupt := context.WithCancel(ctx)
		var asked *ask[T]
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			select {
			case a := <-o.c.asks:
				asked = &a
				interrupt()
			case <-wait.Done():
			}
		}()
		for {
			// Next prefers events to the end of its context, so it has returned all of them when it fails by that.
			ev, err := stream.Next(wait)
			if err == nil {
				if !send(ev) {
					interrupt()
					<-heard
					return
				}
				continue
			}
			ended := wait.Err() == nil
			interrupt()
			<-heard
			switch {
			case ended:
				send(err)
				return
			case ctx.Err() != nil:
				return
			}
			break
		}
		if asked != nil && !send(asked.done) {
			return
		}
	}
}

// pumpStates brings changes of the connection's state.
func (o *owner[T]) pumpStates(ctx context.Context, changes *gazoo.StateSubscription, out chan<- any) {
	for {
		ch, err := changes.Next(ctx)
		if err != nil {
			return // the stream's end tells the same
		}
		select {
		case out <- ch:
		case <-ctx.Done():
			return
		}
	}
}

// stateChange tells subscribers of the connection. Several changes in quick succession come as one.
func (o *owner[T]) stateChange(ch gazoo.StateChange) {
	if ch.To == gazoo.StateConnected && o.state == gazoo.StateConnected && ch.Missed > 0 {
		o.c.connection(Suspended)
	}
	o.state = ch.To
	if ch.To == gazoo.StateConnected {
		o.c.connection(Reconnected) // the stream's gap leads to a comparison
		return
	}
	// News that come late, when the connection is back already, say nothing of what the gap behind them has settled.
	if o.c.zk.State() != gazoo.StateConnected {
		o.c.setStale(true)
	}
	what := Suspended
	if ch.To == gazoo.StateLost {
		what = Lost
	}
	o.c.connection(what)
}
