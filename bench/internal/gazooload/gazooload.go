// Package gazooload puts the loads on this project's client.
package gazooload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/bench/internal/canned"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

// Client is the client under load.
var Client = load.Client{Name: "gazoo", Module: "github.com/gazoo-zk/gazoo", Open: open}

const sessionTimeout = 30 * time.Second

func connect(ctx context.Context, s *load.Spec) (*gazoo.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return gazoo.Connect(ctx, s.Hosts, gazoo.WithSessionTimeout(sessionTimeout), gazoo.WithMaxReply(64<<20))
}

func open(ctx context.Context, s *load.Spec) (_ *load.Job, err error) {
	switch s.Op {
	case load.Connect:
		return connects(ctx, s), nil
	case load.Fanout, load.Sessions:
		return nil, load.ErrCannot
	}
	var clients []*gazoo.Client
	closeAll := func() error {
		var errs []error
		for _, zk := range clients {
			errs = append(errs, zk.Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	for range s.Conns {
		zk, err := connect(ctx, s)
		if err != nil {
			return nil, err
		}
		clients = append(clients, zk)
	}
	job := &load.Job{Close: closeAll}
	switch s.Op {
	case load.Watch:
		job.Episode = watches(ctx, s, clients[0])
		return job, nil
	case load.Reconnect:
		job.Episode, err = reconnects(ctx, s, clients[0])
		return job, err
	}
	for _, zk := range clients {
		if s.Async() {
			job.Workers = append(job.Workers, pipelined(ctx, s, zk))
			continue
		}
		for range s.Goroutines {
			job.Workers = append(job.Workers, sync(ctx, s, zk))
		}
	}
	return job, nil
}

// sync is a caller of blocking calls.
func sync(ctx context.Context, s *load.Spec, zk *gazoo.Client) func(*load.Meter) error {
	path, data := s.Path(), s.Data()
	var call func() error
	switch s.Op {
	case load.Get:
		call = func() error {
			got, _, err := zk.Get(ctx, path)
			return sized(s, len(got), err)
		}
		if s.Mode == load.Into {
			buf := make([]byte, 0, s.Size)
			call = func() error {
				got, _, err := zk.GetInto(ctx, path, buf)
				return sized(s, len(got), err)
			}
		}
	case load.Set:
		call = func() error {
			_, err := zk.Set(ctx, path, data, gazoo.AnyVersion)
			return err
		}
	case load.Exists:
		call = func() error {
			_, _, err := zk.Exists(ctx, path)
			return err
		}
	case load.Create:
		opts := createOptions(s)
		call = func() error {
			_, err := zk.Create(ctx, path, data, opts...)
			return err
		}
	case load.Children:
		call = func() error {
			names, err := zk.Children(ctx, path)
			return listed(s, len(names), err)
		}
	case load.Multi:
		txn := transactions(s)
		call = func() error {
			_, err := txn(zk).Commit(ctx)
			return err
		}
	}
	return func(m *load.Meter) error {
		for m.Running() {
			since := m.Begin()
			if err := call(); err != nil {
				return err
			}
			m.End(since)
		}
		return nil
	}
}

func sized(s *load.Spec, got int, err error) error {
	if err == nil && got != s.Size {
		err = fmt.Errorf("%d bytes of data, not %d", got, s.Size)
	}
	return err
}

func listed(s *load.Spec, got int, err error) error {
	if err == nil && got != s.Names {
		err = fmt.Errorf("%d names, not %d", got, s.Names)
	}
	return err
}

func createOptions(s *load.Spec) []gazoo.CreateOption {
	if s.Unique {
		return []gazoo.CreateOption{gazoo.Sequential()}
	}
	return nil
}

// transactions returns a maker of transactions of -names creates.
func transactions(s *load.Spec) func(*gazoo.Client) *gazoo.Txn {
	opts, data := createOptions(s), s.Data()
	paths := make([]string, s.Names)
	for i := range paths {
		paths[i] = s.MultiPath(i)
	}
	return func(zk *gazoo.Client) *gazoo.Txn {
		txn := zk.Txn()
		for _, path := range paths {
			txn.Create(path, data, opts...)
		}
		return txn
	}
}

// pipelined keeps -inflight asynchronous calls going.
func pipelined(ctx context.Context, s *load.Spec, zk *gazoo.Client) func(*load.Meter) error {
	path, data, async := s.Path(), s.Data(), zk.Async()
	switch s.Op {
	case load.Set:
		return pipeline(ctx, s, func(int) gazoo.Future[gazoo.Stat] { return async.Set(ctx, path, data, gazoo.AnyVersion) })
	case load.Exists:
		return pipeline(ctx, s, func(int) gazoo.Future[gazoo.Presence] { return async.Exists(ctx, path) })
	case load.Create:
		opts := createOptions(s)
		return pipeline(ctx, s, func(int) gazoo.Future[gazoo.Created] { return async.Create(ctx, path, data, opts...) })
	case load.Children:
		return pipeline(ctx, s, func(int) gazoo.Future[gazoo.Directory] { return async.Children(ctx, path) })
	case load.Multi:
		txn := transactions(s)
		return pipeline(ctx, s, func(int) gazoo.Future[[]gazoo.TxnResult] { return async.Commit(ctx, txn(zk)) })
	}
	if s.Mode == load.PipelinedInto {
		bufs := make([][]byte, s.InFlight)
		for i := range bufs {
			bufs[i] = make([]byte, 0, s.Size)
		}
		return pipeline(ctx, s, func(slot int) gazoo.Future[gazoo.Node] { return async.GetInto(ctx, path, bufs[slot]) })
	}
	return pipeline(ctx, s, func(int) gazoo.Future[gazoo.Node] { return async.Get(ctx, path) })
}

// pipeline waits for the oldest call and makes a new one, in turn: replies come in the order of the requests.
func pipeline[T any](ctx context.Context, s *load.Spec, submit func(slot int) gazoo.Future[T]) func(*load.Meter) error {
	type call struct {
		future gazoo.Future[T]
		since  time.Duration
	}
	return func(m *load.Meter) error {
		flight := make([]call, s.InFlight)
		for i := range flight {
			since := m.Begin()
			flight[i] = call{submit(i), since}
		}
		end := func(c *call) error {
			_, err := c.future.Wait(ctx)
			c.future.Release()
			if err == nil {
				m.End(c.since)
			}
			return err
		}
		for i := 0; ; i++ {
			if i == len(flight) {
				i = 0
			}
			c := &flight[i]
			if err := end(c); err != nil {
				return err
			}
			if !m.Running() {
				for k := 1; k < len(flight); k++ {
					if err := end(&flight[(i+k)%len(flight)]); err != nil {
						return err
					}
				}
				return nil
			}
			c.since = m.Begin()
			c.future = submit(i)
		}
	}
}

// connects opens and closes sessions, one after another in each caller.
func connects(ctx context.Context, s *load.Spec) *load.Job {
	job := &load.Job{}
	for range s.Callers() {
		job.Workers = append(job.Workers, func(m *load.Meter) error {
			for m.Running() {
				since := m.Begin()
				zk, err := connect(ctx, s)
				if err != nil {
					return err
				}
				if err := zk.Close(); err != nil {
					return err
				}
				m.End(since)
			}
			return nil
		})
	}
	return job
}

// set sets a data watch on each path, all reads in flight together.
func set(ctx context.Context, s *load.Spec, zk *gazoo.Client) ([]*gazoo.Watch, error) {
	async := zk.Async()
	flight := make([]gazoo.Future[gazoo.WatchedNode], s.Names)
	for i := range flight {
		flight[i] = async.GetW(ctx, s.WatchedPath(i))
	}
	watches := make([]*gazoo.Watch, s.Names)
	for i, f := range flight {
		n, err := f.Wait(ctx)
		if err != nil {
			return nil, err
		}
		f.Release()
		watches[i] = n.Watch
	}
	return watches, nil
}

// watches sets watches and has them fired.
func watches(ctx context.Context, s *load.Spec, zk *gazoo.Client) func() (load.Episode, error) {
	return func() (load.Episode, error) {
		begin := time.Now()
		watches, err := set(ctx, s, zk)
		if err != nil {
			return load.Episode{}, err
		}
		fire := time.Now()
		if _, err := zk.Set(ctx, canned.Fire, nil, gazoo.AnyVersion); err != nil {
			return load.Episode{}, err
		}
		for i, w := range watches {
			e, err := w.Wait(ctx)
			if err == nil && (e.Type != gazoo.EventDataChanged || e.Path != s.WatchedPath(i)) {
				err = fmt.Errorf("event %v for %s", e, s.WatchedPath(i))
			}
			if err != nil {
				return load.Episode{}, err
			}
		}
		return load.Episode{
			Ops: len(watches), Took: time.Since(fire), Extra: map[string]time.Duration{"set": fire.Sub(begin)},
		}, nil
	}
}

// reconnects has the connection cut under watches, which are set once and live on.
func reconnects(ctx context.Context, s *load.Spec, zk *gazoo.Client) (func() (load.Episode, error), error) {
	if _, err := set(ctx, s, zk); err != nil {
		return nil, err
	}
	return func() (load.Episode, error) {
		begin := time.Now()
		if _, err := zk.Set(ctx, canned.Cut, nil, gazoo.AnyVersion); err != nil {
			return load.Episode{}, err
		}
		return load.Returned(s, begin, func() (string, error) {
			text, _, err := zk.Get(ctx, canned.Report)
			if errors.Is(err, gazoo.ErrConnectionLoss) {
				err = load.ErrAway
			}
			return string(text), err
		})
	}, nil
}
