// Package rawload replays prepared requests over a socket and counts the frames that come back. It is the limit: no
// client can do less and still move the same bytes with the same number of requests in flight.
package rawload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/canned"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Client is the replay.
var Client = load.Client{Name: "raw", Open: open}

func open(ctx context.Context, s *load.Spec) (*load.Job, error) {
	if s.Op == load.Reconnect || s.Into() {
		return nil, load.ErrCannot
	}
	switch s.Op {
	case load.Connect:
		return connects(ctx, s), nil
	case load.Fanout:
		return fanout(ctx, s)
	case load.Sessions:
		return sessions(ctx, s), nil
	}
	job := &load.Job{}
	var conns []*conn
	job.Close = func() error {
		var errs []error
		for _, c := range conns {
			errs = append(errs, c.close())
		}
		return errors.Join(errs...)
	}
	for range s.Conns {
		c, err := dial(ctx, s.Hosts)
		if err != nil {
			job.Close()
			return nil, err
		}
		conns = append(conns, c)
		if s.Op == load.Watch {
			job.Episode = watches(s, c)
			return job, nil
		}
		requests := repeat(request(s), s.Callers())
		job.Workers = append(job.Workers, func(m *load.Meter) error { return c.replay(m, requests, s.Callers()) })
	}
	return job, nil
}

// request returns the bytes of one request, with any xid.
func request(s *load.Spec) []byte {
	path, acl := s.Path(), []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}
	mode := zkproto.CreateMode(0)
	if s.Unique {
		mode = zkproto.ModePersistentSequential
	}
	switch s.Op {
	case load.Set:
		return frame(zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Data: s.Data(), Version: -1}.AppendTo(nil))
	case load.Exists:
		return frame(zkproto.OpExists, zkproto.PathWatchRequest{Path: path}.AppendTo(nil))
	case load.Create:
		return frame(zkproto.OpCreate, zkproto.CreateRequest{Path: path, Data: s.Data(), ACL: acl, Mode: mode}.AppendTo(nil))
	case load.Children:
		return frame(zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: path}.AppendTo(nil))
	case load.Multi:
		var txn zkproto.MultiRequest
		for i := range s.Names {
			txn.Ops = append(txn.Ops, zkproto.MultiOp{
				Op: zkproto.OpCreate, Path: s.MultiPath(i), Data: s.Data(), ACL: acl, Mode: mode,
			})
		}
		return frame(zkproto.OpMulti, txn.AppendTo(nil))
	}
	return frame(zkproto.OpGetData, zkproto.PathWatchRequest{Path: path}.AppendTo(nil))
}

func frame(op zkproto.OpCode, body []byte) []byte {
	b, mark := zkproto.BeginFrame(nil)
	b = zkproto.RequestHeader{Xid: 1, Op: op}.AppendTo(b)
	return zkproto.EndFrame(append(b, body...), mark)
}

func repeat(b []byte, n int) []byte {
	all := make([]byte, 0, n*len(b))
	for range n {
		all = append(all, b...)
	}
	return all
}

// conn is a socket, and the state of cutting what it sends into frames.
type conn struct {
	nc   io.ReadWriteCloser
	buf  []byte
	have int // bytes in buf that belong to a head not complete yet
	skip int // bytes of a frame still to come
}

// sessionTimeout is longer than any load: nothing here sends pings.
const sessionTimeout = 10 * time.Minute

func dial(ctx context.Context, addr string) (*conn, error) { return dialSized(ctx, addr, 256<<10) }

func dialSized(ctx context.Context, addr string, buffer int) (*conn, error) {
	nc, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return greet(nc, buffer)
}

// greet opens a session.
func greet(nc io.ReadWriteCloser, buffer int) (*conn, error) {
	c := &conn{nc: nc, buf: make([]byte, buffer)}
	b, mark := zkproto.BeginFrame(nil)
	b = zkproto.ConnectRequest{TimeoutMS: int32(sessionTimeout.Milliseconds()), Password: make([]byte, 16), HasReadOnly: true}.AppendTo(b)
	if _, err := nc.Write(zkproto.EndFrame(b, mark)); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	if err := c.await(1); err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w", err), nc.Close())
	}
	return c, nil
}

// close closes the session.
func (c *conn) close() error {
	_, err := c.nc.Write(frame(zkproto.OpCloseSession, nil))
	if err == nil {
		err = c.await(1)
	}
	return errors.Join(err, c.nc.Close())
}

// head is what a frame has to have come of before it is counted: its length and its error code.
const head = 4 + zkproto.ReplyHeaderSize

// read reads once and returns how many frames ended in what came.
func (c *conn) read() (frames int, err error) {
	n, err := c.nc.Read(c.buf[c.have:])
	if err != nil {
		return 0, err
	}
	b := c.buf[:c.have+n]
	c.have = 0
	if c.skip > 0 {
		if c.skip > len(b) {
			c.skip -= len(b)
			return 0, nil
		}
		b = b[c.skip:]
		c.skip = 0
		frames++
	}
	for len(b) >= head {
		size := 4 + int(binary.BigEndian.Uint32(b))
		if code := int32(binary.BigEndian.Uint32(b[head-4:])); code != 0 && size > head-4 && !c.greeting(b) {
			return frames, zkproto.Code(code)
		}
		if size > len(b) {
			c.skip = size - len(b)
			return frames, nil
		}
		b = b[size:]
		frames++
	}
	c.have = copy(c.buf, b)
	return frames, nil
}

// greeting reports whether a frame is the answer to a connect request, which has no header.
func (c *conn) greeting(b []byte) bool {
	size := binary.BigEndian.Uint32(b)
	return (size == 36 || size == 37) && binary.BigEndian.Uint32(b[4:]) == 0
}

// await reads until n frames have come.
func (c *conn) await(n int) error {
	for n > 0 {
		k, err := c.read()
		if err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// replay keeps so many requests in flight: for every reply that came it sends another request, all with one write.
// Latencies are taken with one request in flight only: replies are not told apart.
func (c *conn) replay(m *load.Meter, requests []byte, inFlight int) error {
	size := len(requests) / inFlight
	since := m.Begin()
	if _, err := c.nc.Write(requests); err != nil {
		return err
	}
	for m.Running() {
		n, err := c.read()
		if err != nil {
			return err
		}
		switch {
		case n == 0:
			continue
		case inFlight > 1:
			m.Count(n)
		default:
			m.End(since)
			since = m.Begin()
		}
		if _, err := c.nc.Write(requests[:n*size]); err != nil {
			return err
		}
	}
	if err := c.await(inFlight); err != nil {
		return err
	}
	m.Count(inFlight)
	return nil
}

func connects(ctx context.Context, s *load.Spec) *load.Job {
	job := &load.Job{}
	for range s.Callers() {
		job.Workers = append(job.Workers, func(m *load.Meter) error {
			for m.Running() {
				since := m.Begin()
				c, err := dial(ctx, s.Hosts)
				if err != nil {
					return err
				}
				if err := c.close(); err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				m.End(since)
			}
			return nil
		})
	}
	return job
}

// watches sets watches and counts the events when they are fired.
func watches(s *load.Spec, c *conn) func() (load.Episode, error) {
	var gets []byte
	for i := range s.Names {
		path := s.WatchedPath(i)
		gets = append(gets, frame(zkproto.OpGetData, zkproto.PathWatchRequest{Path: path, Watch: true}.AppendTo(nil))...)
	}
	fire := frame(zkproto.OpSetData, zkproto.SetDataRequest{Path: canned.Fire, Version: -1}.AppendTo(nil))
	return func() (load.Episode, error) {
		begin := time.Now()
		sent := make(chan error, 1)
		go func() {
			_, err := c.nc.Write(gets)
			sent <- err
		}()
		if err := errors.Join(c.await(s.Names), <-sent); err != nil {
			return load.Episode{}, err
		}
		at := time.Now()
		if _, err := c.nc.Write(fire); err != nil {
			return load.Episode{}, err
		}
		if err := c.await(1 + s.Names); err != nil {
			return load.Episode{}, err
		}
		return load.Episode{
			Ops: s.Names, Took: time.Since(at), Extra: map[string]time.Duration{"set": at.Sub(begin)},
		}, nil
	}
}
