package conformance

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Frames and encodings.

var framingFacts = facts(nullIsNotEmpty, impossibleLengths, trailingBytesAreIgnored, shortRecords, largestFrame,
	oversizedFrame, negativeFrame, framesShorterThanTheirHeader)

func nullIsNotEmpty(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for name, data := range map[string][]byte{"null": nil, "empty": {}} {
		path := d + "/" + name
		req := create(path)
		req.Data = data
		made(c, req)
		for range 2 { // as created, and as set
			p := as[zkproto.GetDataResponse](t, c.Want(zkproto.OK, zkproto.OpGetData, read(path)))
			if len(p.Data) > 0 || (p.Data == nil) != (data == nil) || p.Stat.DataLength != 0 {
				t.Errorf("%s data reads back as %#v with length %d", name, p.Data, p.Stat.DataLength)
			}
			c.Want(zkproto.OK, zkproto.OpSetData, set(path))
			c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Data: data, Version: -1})
		}
	}
}

func impossibleLengths(t *testing.T, s *server) {
	c := s.open(t)
	for name, b := range map[string][]byte{
		"string of -2 bytes":         zkproto.AppendInt32(nil, -2),
		"string of 2^31-1 bytes":     zkproto.AppendInt32(nil, 1<<31-1),
		"ACL of a million entries":   zkproto.AppendInt32(zkproto.AppendBuffer(zkproto.AppendString(nil, "/a"), nil), 1_000_000),
		"data of -2 bytes":           zkproto.AppendInt32(zkproto.AppendString(nil, "/a"), -2),
		"data of 2^31-1 bytes":       zkproto.AppendInt32(zkproto.AppendString(nil, "/a"), 1<<31-1),
		"ACL of -2 entries, no mode": zkproto.AppendInt32(zkproto.AppendBuffer(zkproto.AppendString(nil, "/a"), nil), -2),
	} {
		if p := c.Call(zkproto.OpCreate, rawzk.Bytes(b)); p.Err != zkproto.ErrMarshallingError {
			t.Errorf("create with a %s: %v, want MarshallingError", name, p.Err.Name())
		}
	}
	c.Want(zkproto.OK, zkproto.OpPing, nil) // the connection goes on
}

func trailingBytesAreIgnored(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	tail := func(b rawzk.Body) rawzk.Bytes { return append(b.AppendTo(nil), 1, 2, 3) }
	tryAll(c,
		try{zkproto.OK, zkproto.OpCreate, tail(create(d + "/a"))},
		try{zkproto.OK, zkproto.OpExists, tail(watch(d + "/a"))},
		try{zkproto.OK, zkproto.OpMulti, tail(multi(mCheck(d+"/a", 0)))},
		try{zkproto.OK, zkproto.OpGetACL, tail(at(d + "/a"))},
		try{zkproto.OK, zkproto.OpWhoAmI, rawzk.Bytes{1, 2, 3}},
		try{zkproto.OK, zkproto.OpPing, rawzk.Bytes{1, 2, 3}},
	)
}

func shortRecords(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, x := range []struct {
		op   zkproto.OpCode
		body rawzk.Body
	}{
		{zkproto.OpCreate, create(d + "/a")},
		{zkproto.OpCreateTTL, createTTL(d+"/a", 1)},
		{zkproto.OpDelete, del(d + "/a")},
		{zkproto.OpExists, watch(d)},
		{zkproto.OpGetData, watch(d)},
		{zkproto.OpSetData, set(d)},
		{zkproto.OpGetACL, at(d)},
		{zkproto.OpSetACL, setACL(d, open...)},
		{zkproto.OpGetChildren, watch(d)},
		{zkproto.OpSync, at(d)},
		{zkproto.OpGetChildren2, watch(d)},
		{zkproto.OpRemoveWatches, zkproto.RemoveWatchesRequest{Path: d, Type: zkproto.WatcherAny}},
		{zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: d}},
		{zkproto.OpSetWatches, zkproto.SetWatchesRequest{Data: []string{d}}},
		{zkproto.OpSetWatches2, zkproto.SetWatches2Request{Data: []string{d}}},
		{zkproto.OpGetEphemerals, at(d)},
		{zkproto.OpGetAllChildrenNumber, at(d)},
	} {
		b := x.body.AppendTo(nil)
		for _, n := range []int{0, 3, len(b) - 1} {
			if p := c.Call(x.op, rawzk.Bytes(b[:n])); p.Err != zkproto.ErrMarshallingError || len(p.Body) > 0 {
				t.Errorf("%v with the first %d of %d bytes: %v, want MarshallingError", x.op, n, len(b), p.Err.Name())
			}
		}
	}
	// A multi may be told with an empty body of results.
	b := multi(mCheck(d, 0)).AppendTo(nil)
	for _, n := range []int{0, 8, 12, len(b) - 1} {
		if p := c.Call(zkproto.OpMulti, rawzk.Bytes(b[:n])); p.Err != zkproto.ErrMarshallingError {
			t.Errorf("multi with the first %d of %d bytes: %v, want MarshallingError", n, len(b), p.Err.Name())
		}
	}
	if n := statOf(c, d).NumChildren; n != 0 {
		t.Errorf("%d children after creates that were cut short", n)
	}
}

// frameOf is a set of data to a path whose frame has exactly this many bytes behind the length.
func frameOf(size int, path string) []byte {
	overhead := zkproto.RequestHeaderSize + 4 + len(path) + 4 + 4
	return rawzk.Request(1, zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Data: make([]byte, size-overhead), Version: -1})
}

func largestFrame(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Write(frameOf(zkproto.DefaultFrameLimit, d))
	if p := c.Next(); p.Err != zkproto.OK {
		t.Errorf("set of data in a frame of 1048575 bytes: %v, want Ok", p.Err.Name())
	}
	// A reply is not limited: this one has a stat as well.
	if n := len(dataOf(c, d)); n < zkproto.DefaultFrameLimit-100 {
		t.Errorf("data of %d bytes came back", n)
	}
}

func oversizedFrame(t *testing.T, s *server) {
	c := s.open(t)
	c.Write(zkproto.AppendInt32(nil, zkproto.DefaultFrameLimit+1)) // the length is enough
	c.Closed()
	s.resume(t, c.Session).Want(zkproto.OK, zkproto.OpPing, nil)

	small := s.with(t, options{maxFrame: 4096})
	c = small.open(t)
	d := dir(c)
	c.Write(frameOf(4096, d))
	if p := c.Next(); p.Err != zkproto.OK {
		t.Errorf("frame as long as the limit: %v, want Ok", p.Err.Name())
	}
	c.Write(frameOf(4097, d)[:100])
	c.Closed()
}

func negativeFrame(t *testing.T, s *server) {
	for _, length := range []int32{-1, -1 << 31} {
		c := s.open(t)
		c.Write(zkproto.AppendInt32(nil, length))
		c.Closed()
		s.resume(t, c.Session)
	}
}

func framesShorterThanTheirHeader(t *testing.T, s *server) {
	for _, n := range []int{0, 4, 7} {
		c := s.open(t)
		c.Write(rawzk.Frame(rawzk.Bytes(make([]byte, n))))
		c.Closed()
		s.resume(t, c.Session)
	}
}
