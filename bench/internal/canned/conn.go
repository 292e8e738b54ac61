package canned

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/gazoo-zk/gazoo/zkproto"
)

const (
	bufferSize = 256 << 10
	// largest is a reply that is written from where it lies instead of being copied behind others.
	largest = 64 << 10
)

// conn is one connection.
type conn struct {
	srv     *Server
	nc      net.Conn
	session int64
	absent  *absent // the session was away; set once, at connect
	out     []byte
	mark    int // in out: where the body of the open reply begins

	op      zkproto.OpCode // of the latest requests, which are counted together
	counted int64

	gets, lists map[int][]byte // prepared replies, whole frames, by bytes of data and by number of names
	lists2      map[int][]byte
	stat        []byte

	watches []byte // watched paths as they came, each with its length in front
	watched int
}

// A frame above this is no request.
const requestLimit = 16 << 20

func (c *conn) serve() {
	c.stat = zkproto.Stat{Czxid: 1, Mzxid: 1, Version: 1, DataLength: 100, Pzxid: 1}.AppendTo(nil)
	c.gets, c.lists, c.lists2 = map[int][]byte{}, map[int][]byte{}, map[int][]byte{}
	in := make([]byte, bufferSize)
	c.out = make([]byte, 0, 2*bufferSize)
	start, end := 0, 0
	for first := true; ; {
		for end-start >= 4 {
			size := int(binary.BigEndian.Uint32(in[start:]))
			if size > requestLimit {
				return
			}
			if end-start < 4+size {
				if need := 4 + size; need > len(in) {
					in = append(make([]byte, 0, 2*need), in[start:end]...)[:2*need]
					start, end = 0, end-start
				}
				break
			}
			frame := in[start+4 : start+4+size]
			start += 4 + size
			if first {
				first = false
				c.srv.connect(c, frame)
				continue
			}
			if !c.answer(frame) {
				return
			}
			if len(c.out) > bufferSize && !c.flush() {
				return
			}
		}
		if !c.flush() {
			return
		}
		if start == end {
			start, end = 0, 0
		} else if end == len(in) {
			end = copy(in, in[start:end])
			start = 0
		}
		n, err := c.nc.Read(in[end:])
		if err != nil {
			return
		}
		end += n
	}
}

// flush writes what has gathered.
func (c *conn) flush() bool {
	c.settle()
	if len(c.out) == 0 {
		return true
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err == nil
}

// count counts a request. Those of a kind that follow each other are added up first.
func (c *conn) count(op zkproto.OpCode) {
	if op != c.op {
		c.settle()
		c.op = op
	}
	c.counted++
}

// settle makes the counts known, which happens before replies go out.
func (c *conn) settle() {
	if c.counted > 0 {
		c.srv.counts[uint8(c.op)].Add(c.counted)
		c.counted = 0
	}
}

// answer appends the reply to a request, and reports whether the connection goes on.
func (c *conn) answer(frame []byte) bool {
	if len(frame) < zkproto.RequestHeaderSize {
		return false
	}
	xid := binary.BigEndian.Uint32(frame)
	op := zkproto.OpCode(int32(binary.BigEndian.Uint32(frame[4:])))
	body := cursor(frame[8:])
	c.count(op)
	switch op {
	case zkproto.OpGetData:
		path := body.field()
		if body.flag() {
			c.watch(path)
		}
		if special(path) && string(path) == Report {
			c.header(xid, zkproto.GetDataResponse{Data: []byte(c.srv.report(c))}.AppendTo(nil))
			break
		}
		return c.prepared(c.gets, number(path), xid, dataReply)
	case zkproto.OpGetChildren, zkproto.OpGetChildren2:
		path := body.field()
		if body.flag() {
			c.watch(path)
		}
		if op == zkproto.OpGetChildren {
			return c.prepared(c.lists, number(path), xid, childrenReply)
		}
		return c.prepared(c.lists2, number(path), xid, children2Reply)
	case zkproto.OpExists:
		path := body.field()
		if body.flag() {
			c.watch(path)
		}
		c.header(xid, c.stat)
	case zkproto.OpSetData:
		path := body.field()
		c.header(xid, c.stat)
		if special(path) {
			return c.command(string(path))
		}
	case zkproto.OpSetACL:
		c.header(xid, c.stat)
	case zkproto.OpCreate, zkproto.OpSync:
		c.open(xid)
		c.out = appendField(c.out, body.field())
		c.close()
	case zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		c.open(xid)
		c.out = append(appendField(c.out, body.field()), c.stat...)
		c.close()
	case zkproto.OpGetACL:
		c.header(xid, zkproto.GetACLResponse{ACL: openACL}.AppendTo(nil))
	case zkproto.OpMulti:
		c.open(xid)
		if !c.multi(&body) {
			return false
		}
		c.close()
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
		body.uint32() // the zxid
		body.uint32()
		c.setWatches(body)
		c.header(xid, nil)
	case zkproto.OpAddWatch:
		c.watch(body.field())
		c.header(xid, []byte{0, 0, 0, 0})
	case zkproto.OpCloseSession:
		c.header(xid, nil)
		c.srv.gone(c)
		c.flush()
		return false
	default: // ping, auth, delete, check, removal of watches
		c.header(xid, nil)
	}
	return true
}

var openACL = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}

// open begins a reply, header included, and close ends it. There is one at a time, the last of what has gathered.
func (c *conn) open(xid uint32) {
	c.out = append(c.out, 0, 0, 0, 0)
	c.mark = len(c.out)
	c.out = appendHeader(c.out, xid)
}

func (c *conn) close() {
	binary.BigEndian.PutUint32(c.out[c.mark-4:], uint32(len(c.out)-c.mark))
}

// header appends a reply with a ready body.
func (c *conn) header(xid uint32, body []byte) {
	c.open(xid)
	c.out = append(c.out, body...)
	c.close()
}

func appendHeader(b []byte, xid uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, xid)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
}

// prepared answers with a frame that is made once for each n.
func (c *conn) prepared(made map[int][]byte, n int, xid uint32, body func(n int) []byte) bool {
	frame := made[n]
	if frame == nil {
		b := body(n)
		frame = binary.BigEndian.AppendUint32(nil, uint32(zkproto.ReplyHeaderSize+len(b)))
		frame = append(appendHeader(frame, 0), b...)
		made[n] = frame
	}
	if len(frame) <= largest {
		at := len(c.out)
		c.out = append(c.out, frame...)
		binary.BigEndian.PutUint32(c.out[at+4:], xid)
		return true
	}
	if !c.flush() { // it settles the counts, this one included
		return false
	}
	binary.BigEndian.PutUint32(frame[4:], xid)
	_, err := c.nc.Write(frame)
	return err == nil
}

func dataReply(n int) []byte {
	return zkproto.GetDataResponse{Data: make([]byte, n), Stat: zkproto.Stat{Version: 1, DataLength: int32(n)}}.AppendTo(nil)
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = Name(i)
	}
	return all
}

// Name returns the name of the child with number i.
func Name(i int) string { return fmt.Sprintf("name-%07d", i) }

func childrenReply(n int) []byte { return zkproto.ChildrenResponse{Children: names(n)}.AppendTo(nil) }

func children2Reply(n int) []byte {
	return zkproto.Children2Response{Children: names(n), Stat: zkproto.Stat{NumChildren: int32(n)}}.AppendTo(nil)
}

// multi appends the results of a transaction.
func (c *conn) multi(in *cursor) bool {
	for {
		op := zkproto.OpCode(int32(in.uint32()))
		done := in.flag()
		in.uint32()
		if op == 0 {
			return false // cut short
		}
		if done {
			c.out = append(c.out, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff)
			return true
		}
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(op))
		c.out = append(c.out, 0, 0, 0, 0, 0)
		switch op {
		case zkproto.OpCreate, zkproto.OpCreate2:
			c.out = appendField(c.out, in.field())
			in.field()
			for n := in.uint32(); n > 0 && len(*in) > 0; n-- { // the ACL
				in.uint32()
				in.field()
				in.field()
			}
			in.uint32()
			if op == zkproto.OpCreate2 {
				c.out = append(c.out, c.stat...)
			}
		case zkproto.OpSetData:
			in.field()
			in.field()
			in.uint32()
			c.out = append(c.out, c.stat...)
		case zkproto.OpDelete, zkproto.OpCheck:
			in.field()
			in.uint32()
		default:
			return false
		}
	}
}

// watch notes a watched path.
func (c *conn) watch(path []byte) {
	c.watches = appendField(c.watches, path)
	c.watched++
}

// setWatches notes all paths of a request that registers watches again.
func (c *conn) setWatches(in cursor) {
	before := c.watched
	for len(in) >= 4 {
		for range in.uint32() {
			path := in.field()
			if path == nil {
				return
			}
			c.watch(path)
		}
	}
	c.srv.registered(c, c.watched-before)
}

// command does what a set on a special path is for.
func (c *conn) command(path string) bool {
	switch path {
	case Fire:
		if !c.flush() {
			return false
		}
		for in := cursor(c.watches); len(in) > 0; {
			c.open(0xffffffff) // the xid of events
			c.out = append(c.out, 0, 0, 0, byte(zkproto.EventDataChanged), 0, 0, 0, byte(zkproto.StateSyncConnected))
			c.out = appendField(c.out, in.field())
			c.close()
			if len(c.out) > bufferSize && !c.flush() {
				return false
			}
		}
		c.watches, c.watched = c.watches[:0], 0
	case Cut:
		if !c.flush() {
			return false
		}
		c.srv.leave(c)
		// The reply has to arrive: a reset would overtake it.
		if tcp, ok := c.nc.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
		io.Copy(io.Discard, c.nc)
		return false
	}
	return true
}

// cursor reads the fields of a request in place. Beyond the end there are zeros.
type cursor []byte

func (c *cursor) uint32() uint32 {
	if len(*c) < 4 {
		*c = nil
		return 0
	}
	v := binary.BigEndian.Uint32(*c)
	*c = (*c)[4:]
	return v
}

func (c *cursor) flag() bool {
	if len(*c) == 0 {
		return false
	}
	v := (*c)[0] != 0
	*c = (*c)[1:]
	return v
}

// field reads a string or a buffer.
func (c *cursor) field() []byte {
	n := int(int32(c.uint32()))
	if n < 0 || n > len(*c) {
		return nil
	}
	v := (*c)[:n]
	*c = (*c)[n:]
	return v
}

func appendField(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}
