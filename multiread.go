package gazoo

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Read is one part of a [Client.MultiRead]: made by ReadData or ReadChildren.
type Read struct {
	op   zkproto.OpCode
	path string
}

// ReadData reads a znode's data and stat.
func ReadData(path string) Read { return Read{zkproto.OpGetData, path} }

// ReadChildren reads the names of a znode's children, without the stat.
func ReadChildren(path string) Read { return Read{zkproto.OpGetChildren, path} }

// ReadResult is the result of one read; each fails alone.
type ReadResult struct {
	Path     string
	Data     []byte   // of ReadData; nil for null data
	Stat     Stat     // of ReadData
	Children []string // of ReadChildren, in no order
	Err      error    // an *OpError, such as ErrNoNode
}

// MultiRead does several reads in one request (ZooKeeper 3.6). A standalone server runs them
// between transactions; an ensemble's gives no such promise. The error is that of the request;
// reads that failed carry theirs in the result. On older servers the reads are pipelined one
// by one.
func (zk *Client) MultiRead(ctx context.Context, reads ...Read) ([]ReadResult, error) {
	cl, err := zk.newMultiRead(reads)
	err = zk.run(ctx, cl, err)
	if errors.Is(err, ErrNotSupported) {
		return zk.readSingly(ctx, reads), nil
	}
	if err != nil {
		return nil, err
	}
	results := takeReadResults(cl)
	cl.release()
	return results, nil
}

func (zk *Client) newMultiRead(reads []Read) (*call, error) {
	cl := zk.core.newCall(zkproto.OpMultiRead, "multi-read", "")
	cl.value = reads
	var problems []error
	ops := make([]zkproto.MultiOp, len(reads))
	for i, r := range reads {
		err := ValidatePath(r.path)
		if r.op == 0 {
			err = badArg("read", "made neither by ReadData nor by ReadChildren")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("read %d: %w", i, err))
		}
		ops[i] = zkproto.MultiOp{Op: r.op, Path: absPath(zk.root, r.path)}
	}
	cl.req.ops = ops
	return cl, errors.Join(problems...)
}

func (r Read) name() string {
	if r.op == zkproto.OpGetChildren {
		return "children"
	}
	return "get"
}

func takeReadResults(cl *call) []ReadResult {
	if out, ok := cl.value.([]ReadResult); ok {
		return out // of the fallback
	}
	reads, _ := cl.value.([]Read)
	out := make([]ReadResult, len(reads))
	for i, r := range reads {
		out[i].Path = r.path
		if i >= len(cl.results) {
			out[i].Err = &OpError{Op: r.name(), Path: r.path, Server: cl.server, Outcome: OutcomeRefused, Err: ErrMarshalling}
			continue
		}
		res := cl.results[i]
		if res.Op == zkproto.OpError {
			out[i].Err = &OpError{Op: r.name(), Path: r.path, Server: cl.server, Outcome: OutcomeRefused, Err: res.Err}
			continue
		}
		out[i].Data, out[i].Stat, out[i].Children = res.Data, res.Stat, res.Children
	}
	return out
}

func (zk *Client) readSingly(ctx context.Context, reads []Read) []ReadResult {
	out := make([]ReadResult, len(reads))
	data := make([]Future[Node], len(reads))
	names := make([]Future[Directory], len(reads))
	for i, r := range reads {
		if r.op == zkproto.OpGetData {
			data[i] = zk.Async().Get(ctx, r.path)
		} else {
			names[i] = zk.Async().Children(ctx, r.path)
		}
	}
	for i, r := range reads {
		out[i].Path = r.path
		if r.op == zkproto.OpGetData {
			var n Node
			n, out[i].Err = data[i].Wait(ctx)
			out[i].Data, out[i].Stat = n.Data, n.Stat
		} else {
			var d Directory
			d, out[i].Err = names[i].Wait(ctx)
			out[i].Children = d.Children
		}
	}
	return out
}
