package rawload

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// fanout has one znode watched by many connections, and changed by one more.
func fanout(ctx context.Context, s *load.Spec) (*load.Job, error) {
	all, err := dialAll(ctx, s.Hosts, s.Names+1)
	if err != nil {
		return nil, err
	}
	writer := all[s.Names]
	watch := frame(zkproto.OpGetData, zkproto.PathWatchRequest{Path: s.Path(), Watch: true}.AppendTo(nil))
	set := frame(zkproto.OpSetData, zkproto.SetDataRequest{Path: s.Path(), Data: s.Data(), Version: -1}.AppendTo(nil))

	// Each connection has a goroutine that waits for its frames, as a client would have.
	turns := make([]chan struct{}, len(all))
	done := make(chan error, len(all))
	for i, c := range all {
		turns[i] = make(chan struct{}, 1)
		go func() {
			for range turns[i] {
				done <- c.await(1)
			}
		}()
	}
	job := &load.Job{Close: func() error {
		for _, turn := range turns {
			close(turn)
		}
		return closeAll(all)
	}}
	// each waits for a frame on the connections, after what is sent.
	each := func(conns int, send func() error) error {
		for i := range conns {
			turns[i] <- struct{}{}
		}
		errs := []error{send()}
		for range conns {
			errs = append(errs, <-done)
		}
		return errors.Join(errs...)
	}
	job.Episode = func() (load.Episode, error) {
		begin := time.Now()
		err := each(s.Names, func() error {
			for _, c := range all[:s.Names] {
				if _, err := c.nc.Write(watch); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return load.Episode{}, err
		}
		at := time.Now()
		err = each(len(all), func() error {
			_, err := writer.nc.Write(set)
			return err
		})
		return load.Episode{
			Ops: s.Names, Took: time.Since(at), Extra: map[string]time.Duration{"set": at.Sub(begin)},
		}, err
	}
	return job, nil
}

// hands is how many goroutines open and close connections.
const hands = 32

// dialAll opens connections for small frames.
func dialAll(ctx context.Context, addr string, n int) ([]*conn, error) {
	all := make([]*conn, n)
	err := byHands(n, func(i int) (err error) {
		all[i], err = dialSized(ctx, addr, 4<<10)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, closeAll(all))
	}
	return all, nil
}

// closeAll closes the connections that there are.
func closeAll(all []*conn) error {
	return byHands(len(all), func(i int) error {
		if all[i] == nil {
			return nil
		}
		return all[i].close()
	})
}

// byHands does something for each number below n, and returns the first error of each of those who do it.
func byHands(n int, do func(i int) error) error {
	errs := make([]error, hands)
	var wg sync.WaitGroup
	for k := range hands {
		wg.Go(func() {
			for i := k; i < n; i += hands {
				if err := do(i); err != nil && errs[k] == nil {
					errs[k] = err
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
