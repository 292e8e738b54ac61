package zkserver

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Node is a znode as [Server.Nodes] shows it.
type Node struct {
	Path      string
	Data      []byte // must not be changed; nil for null data
	ACL       []zkproto.ACL
	Stat      zkproto.Stat
	Container bool
	TTL       time.Duration // 0 without one
}

// Nodes returns a znode and all below it as they are at one moment, whatever their ACLs say:
// parents first, children by name. It is empty when there is no such znode, or when the server
// is closed.
func (s *Server) Nodes(path string) []Node {
	var all []Node
	if !s.call(func(e *engine) {
		for n := range e.tree.Walk(path) {
			all = append(all, Node(n))
		}
	}) {
		return nil
	}
	return all
}

// Zxid returns the zxid of the newest transaction; 0 when the server is closed.
func (s *Server) Zxid() int64 {
	var zxid int64
	if !s.call(func(e *engine) { zxid = e.tree.Zxid() }) {
		return 0
	}
	return zxid
}

// WatchInfo is a watch as [Server.Watches] shows it.
type WatchInfo struct {
	Session int64
	Path    string
	Kind    WatchKind
}

// WatchKind says what a watch tells of, and how often.
type WatchKind string

// The kinds of watches. WatchData also stands for a watch on a znode that does not exist.
const (
	WatchData       WatchKind = "data"
	WatchChildren   WatchKind = "children"
	WatchPersistent WatchKind = "persistent"
	WatchRecursive  WatchKind = "recursive"
)

// Watches returns all watches, by path and session.
func (s *Server) Watches() []WatchInfo {
	var all []WatchInfo
	s.call(func(e *engine) { all = e.watchInfos() })
	return all
}

func (e *engine) watchInfos() []WatchInfo {
	var all []WatchInfo
	for _, c := range e.conns() {
		for path, bits := range c.watched {
			for _, k := range [...]struct {
				kind WatchKind
				bits watchBits
			}{
				{WatchData, standard},
				{WatchChildren, standard << toChild},
				{WatchPersistent, persistent | persistent<<toChild},
				{WatchRecursive, recursive | recursive<<toChild},
			} {
				if bits&k.bits != 0 {
					all = append(all, WatchInfo{c.sessionID(), path, k.kind})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b WatchInfo) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// Put sets the data of a znode as the server itself, which no ACL stops and no session stands
// for. Where there is none it makes one, persistent and open to all, with its parents. The
// error is a [zkproto.Code], or [ErrClosed].
func (s *Server) Put(path string, data []byte) error {
	return s.Fill(func(yield func(string, []byte) bool) { yield(path, data) })
}

// Fill is [Server.Put] for many znodes at once, in their order, which stops at the first error.
// No request is served meanwhile.
func (s *Server) Fill(nodes iter.Seq2[string, []byte]) error {
	if s.leader != nil {
		return s.leader.Fill(nodes)
	}
	var err error
	if !s.call(func(e *engine) {
		for path, data := range nodes {
			if err = e.store(path, data); err != nil {
				err = fmt.Errorf("put %q: %w", path, err)
				return
			}
		}
	}) {
		return s.whyNot()
	}
	return err
}

// Remove deletes a znode and all below it, as the server itself. The error is a
// [zkproto.Code], such as [zkproto.ErrNoNode], or [ErrClosed].
func (s *Server) Remove(path string) error {
	if s.leader != nil {
		return s.leader.Remove(path)
	}
	var err error
	if !s.call(func(e *engine) {
		var paths []string
		for n := range e.tree.Walk(path) {
			paths = append(paths, n.Path)
		}
		if len(paths) == 0 {
			err = fmt.Errorf("remove %q: %w", path, zkproto.ErrNoNode)
		}
		for _, p := range slices.Backward(paths) {
			if err = e.own(zkproto.MultiOp{Op: zkproto.OpDelete, Path: p, Version: -1}); err != nil {
				err = fmt.Errorf("remove %q: %w", p, err)
				return
			}
		}
	}) {
		return s.whyNot()
	}
	return err
}

// whyNot is the error of what the server could not do, or not make durable.
func (s *Server) whyNot() error { return cmp.Or(s.Err(), ErrClosed) }

// store sets or makes a znode.
func (e *engine) store(path string, data []byte) error {
	if _, found := e.tree.Peek(path); found && path != "" {
		return e.own(zkproto.MultiOp{Op: zkproto.OpSetData, Path: path, Data: data, Version: -1})
	}
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		if _, found := e.tree.Peek(path[:i]); !found {
			if err := e.store(path[:i], []byte{}); err != nil {
				return err
			}
		}
	}
	open := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}
	return e.own(zkproto.MultiOp{Op: zkproto.OpCreate, Path: path, Data: data, ACL: open})
}

// own is a write of the server itself.
func (e *engine) own(op zkproto.MultiOp) error {
	if e.failed {
		return ErrClosed
	}
	out := e.tree.Write(&ztree.Caller{IDs: []ztree.ID{{Scheme: "super"}}}, e.now(), op)
	e.wrote(&out)
	if out.Code != zkproto.OK {
		return out.Code
	}
	return nil
}

// WithDataOf makes a server begin with the znodes and sessions that another one ended with,
// which must be closed and is not to be passed twice: it stands for a restart.
func WithDataOf(old *Server) Option {
	return func(c *config) {
		c.open = func(ztree.Options) (*ztree.Tree, journal, error) {
			<-old.stopped
			return old.last, nil, nil
		}
	}
}
