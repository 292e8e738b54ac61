package rawload

import (
	"context"
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// fanout has one znode watched by many connections, and changed by one more.
func fanout(ctx context.Context, s *load.Spec) (_ *load.Job, err error) {
	watchers := make([]*conn, 0, s.Names)
	job := &load.Job{Close: func() error {
		var errs []error
		for _, c := range watchers {
			errs = append(errs, c.close())
		}
		return errors.Join(errs...)
	}}
	defer func() {
		if err != nil {
			job.Close()
		}
	}()
	for range s.Names {
		c, err := dial(ctx, s.Hosts)
		if err != nil {
			return nil, err
		}
		c.buf = make([]byte, 4<<10)
		watchers = append(watchers, c)
	}
	writer, err := dial(ctx, s.Hosts)
	if err != nil {
		return nil, err
	}
	all := append(watchers, writer)
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
	watchers = all // to be closed
	end := job.Close
	job.Close = func() error {
		for _, turn := range turns {
			close(turn)
		}
		return end()
	}
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
