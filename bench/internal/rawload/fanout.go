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
	all, err := dialAll(ctx, s.Hosts, s.Names)
	if err != nil {
		return nil, err
	}
	writer, err := dialSized(ctx, s.Hosts, 4<<10)
	if err != nil {
		return nil, errors.Join(err, closeAll(all))
	}
	crowd, err := gather(all)
	if err != nil {
		return nil, errors.Join(err, writer.close(), closeAll(all))
	}
	watch := frame(zkproto.OpGetData, zkproto.PathWatchRequest{Path: s.Path(), Watch: true}.AppendTo(nil))
	set := frame(zkproto.OpSetData, zkproto.SetDataRequest{Path: s.Path(), Data: s.Data(), Version: -1}.AppendTo(nil))
	job := &load.Job{Close: func() error { return errors.Join(crowd.close(), writer.close(), closeAll(all)) }}
	job.Episode = func() (load.Episode, error) {
		begin := time.Now()
		for _, c := range all {
			if _, err := c.nc.Write(watch); err != nil {
				return load.Episode{}, err
			}
		}
		if err := errors.Join(crowd.arrived(), crowd.read()); err != nil {
			return load.Episode{}, err
		}
		at := time.Now()
		if _, err := writer.nc.Write(set); err != nil {
			return load.Episode{}, err
		}
		err := errors.Join(crowd.arrived(), writer.await(1))
		took := time.Since(at)
		return load.Episode{
			Ops: s.Names, Took: took, Extra: map[string]time.Duration{"set": at.Sub(begin)},
		}, errors.Join(err, crowd.read())
	}
	return job, nil
}

// sessions opens many sessions and closes them again.
func sessions(ctx context.Context, s *load.Spec) *load.Job {
	return &load.Job{Episode: func() (load.Episode, error) {
		begin := time.Now()
		all, err := dialAll(ctx, s.Hosts, s.Names)
		took := time.Since(begin)
		if err != nil {
			return load.Episode{}, err
		}
		return load.Episode{Ops: s.Names, Took: took}, closeAll(all)
	}}
}

// hands is how many goroutines open and close connections.
const hands = 32

// dialAll opens connections for small frames.
func dialAll(ctx context.Context, addr string, n int) ([]*conn, error) {
	all := make([]*conn, n)
	err := byHands(n, func(i int) (err error) {
		all[i], err = dialSmall(ctx, addr)
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
