// Package gozkload puts the loads on github.com/go-zookeeper/zk. It has blocking calls only, so that what is in flight
// is so many goroutines, which is how its users do it.
package gozkload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/gazoo-zk/gazoo/bench/internal/canned"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

// Client is the client under load.
var Client = load.Client{Name: "gozk", Module: "github.com/go-zookeeper/zk", Open: open}

const sessionTimeout = 30 * time.Second

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// connect waits for a session, which Connect does not.
func connect(s *load.Spec) (*zk.Conn, <-chan zk.Event, error) {
	c, events, err := zk.Connect([]string{s.Hosts}, sessionTimeout, zk.WithLogInfo(false), zk.WithLogger(quiet{}))
	if err != nil {
		return nil, nil, err
	}
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c, events, nil
			}
		case <-patience.C:
			c.Close()
			return nil, nil, errors.New("no session within 10 seconds")
		}
	}
}

// finish closes a session and waits until nothing of it runs: its events end.
func finish(c *zk.Conn, events <-chan zk.Event) error {
	c.Close()
	for range events {
	}
	return nil
}

func open(ctx context.Context, s *load.Spec) (*load.Job, error) {
	if s.Into() || s.Op == load.Fanout || s.Op == load.Sessions {
		return nil, load.ErrCannot
	}
	if s.Op == load.Connect {
		return connects(s), nil
	}
	job := &load.Job{}
	var closers []func() error
	job.Close = func() error {
		for _, end := range closers {
			end()
		}
		return nil
	}
	for range s.Conns {
		c, events, err := connect(s)
		if err != nil {
			job.Close()
			return nil, err
		}
		closers = append(closers, func() error { return finish(c, events) })
		switch s.Op {
		case load.Watch:
			job.Episode = watches(s, c)
			return job, nil
		case load.Reconnect:
			if _, err := set(s, c); err != nil {
				job.Close()
				return nil, err
			}
			job.Episode = reconnects(s, c)
			return job, nil
		}
		for range s.Callers() {
			job.Workers = append(job.Workers, worker(s, c))
		}
	}
	return job, nil
}

func worker(s *load.Spec, c *zk.Conn) func(*load.Meter) error {
	path, data, acl := s.Path(), s.Data(), zk.WorldACL(zk.PermAll)
	var flags int32
	if s.Unique {
		flags = zk.FlagSequence
	}
	var call func() error
	switch s.Op {
	case load.Get:
		call = func() error {
			got, _, err := c.Get(path)
			if err == nil && len(got) != s.Size {
				err = fmt.Errorf("%d bytes of data, not %d", len(got), s.Size)
			}
			return err
		}
	case load.Set:
		call = func() error {
			_, err := c.Set(path, data, -1)
			return err
		}
	case load.Exists:
		call = func() error {
			_, _, err := c.Exists(path)
			return err
		}
	case load.Create:
		call = func() error {
			_, err := c.Create(path, data, flags, acl)
			return err
		}
	case load.Children:
		call = func() error {
			names, _, err := c.Children(path)
			if err == nil && len(names) != s.Names {
				err = fmt.Errorf("%d names, not %d", len(names), s.Names)
			}
			return err
		}
	case load.Multi:
		paths := make([]string, s.Names)
		for i := range paths {
			paths[i] = s.MultiPath(i)
		}
		call = func() error {
			ops := make([]any, len(paths))
			for i, path := range paths {
				ops[i] = &zk.CreateRequest{Path: path, Data: data, Acl: acl, Flags: flags}
			}
			_, err := c.Multi(ops...)
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

func connects(s *load.Spec) *load.Job {
	job := &load.Job{}
	for range s.Callers() {
		job.Workers = append(job.Workers, func(m *load.Meter) error {
			for m.Running() {
				since := m.Begin()
				c, events, err := connect(s)
				if err != nil {
					return err
				}
				if err := finish(c, events); err != nil {
					return err
				}
				m.End(since)
			}
			return nil
		})
	}
	return job
}

// set sets a data watch on each path, by many goroutines.
func set(s *load.Spec, c *zk.Conn) ([]<-chan zk.Event, error) {
	const setters = 64
	channels := make([]<-chan zk.Event, s.Names)
	errs := make([]error, setters)
	var wg sync.WaitGroup
	for k := range setters {
		wg.Go(func() {
			for i := k; i < s.Names && errs[k] == nil; i += setters {
				_, _, channels[i], errs[k] = c.GetW(s.WatchedPath(i))
			}
		})
	}
	wg.Wait()
	return channels, errors.Join(errs...)
}

func watches(s *load.Spec, c *zk.Conn) func() (load.Episode, error) {
	return func() (load.Episode, error) {
		begin := time.Now()
		channels, err := set(s, c)
		if err != nil {
			return load.Episode{}, err
		}
		fire := time.Now()
		if _, err := c.Set(canned.Fire, nil, -1); err != nil {
			return load.Episode{}, err
		}
		for i, events := range channels {
			if e := <-events; e.Err != nil || e.Type != zk.EventNodeDataChanged || e.Path != s.WatchedPath(i) {
				return load.Episode{}, fmt.Errorf("event %v for %s", e, s.WatchedPath(i))
			}
		}
		return load.Episode{
			Ops: len(channels), Took: time.Since(fire), Extra: map[string]time.Duration{"set": fire.Sub(begin)},
		}, nil
	}
}

func reconnects(s *load.Spec, c *zk.Conn) func() (load.Episode, error) {
	return func() (load.Episode, error) {
		begin := time.Now()
		if _, err := c.Set(canned.Cut, nil, -1); err != nil {
			return load.Episode{}, err
		}
		return load.Returned(s, begin, func() (string, error) {
			text, _, err := c.Get(canned.Report)
			if errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) {
				err = load.ErrAway
			}
			return string(text), err
		})
	}
}
