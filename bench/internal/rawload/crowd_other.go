//go:build !linux

package rawload

import "context"

// dialSmall opens a connection for small frames.
func dialSmall(ctx context.Context, addr string) (*conn, error) { return dialSized(ctx, addr, 512) }

// crowd is many connections, each with a goroutine that waits for its frames.
type crowd struct {
	turns []chan struct{}
	done  chan error
}

func gather(all []*conn) (*crowd, error) {
	w := &crowd{turns: make([]chan struct{}, len(all)), done: make(chan error, len(all))}
	for i, c := range all {
		w.turns[i] = make(chan struct{}, 1)
		go func() {
			for range w.turns[i] {
				w.done <- c.await(1)
			}
		}()
	}
	return w, nil
}

// arrived waits until a frame has come on every connection, and reads it.
func (w *crowd) arrived() error {
	for _, turn := range w.turns {
		turn <- struct{}{}
	}
	var failed error
	for range w.turns {
		if err := <-w.done; failed == nil {
			failed = err
		}
	}
	return failed
}

func (w *crowd) read() error { return nil }

func (w *crowd) close() error {
	for _, turn := range w.turns {
		close(turn)
	}
	return nil
}
