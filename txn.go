package gazoo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Txn collects operations that the server applies all or not at all. Nothing is sent before
// Commit, and invalid arguments are reported there. A Txn is committed once. The methods may
// be chained; they are safe for concurrent use, though the order is then nobody's. What is
// added after Commit is ignored.
type Txn struct {
	zk *Client

	mu       sync.Mutex
	buf      *txnBuffer // nil while there is no operation, and once the answer was decoded
	count    int        // operations added
	problems []error
	done     bool

	results []TxnResult // set when the answer is decoded
}

// txnBuffer has the operations of a transaction: as they go out, and as results name them.
type txnBuffer struct {
	body []byte
	ops  []txnOp
}

type txnOp struct {
	op   zkproto.OpCode
	path string // as given
	end  int    // see decode
}

// maxTxnBuffer bounds the buffers that are kept for the next transaction.
const maxTxnBuffer = 64 << 10

// Txn begins a transaction on this view.
func (zk *Client) Txn() *Txn { return &Txn{zk: zk} }

// add encodes an operation whose path is without the view's root.
func (t *Txn) add(op *zkproto.MultiOp, err error) *Txn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return t // its operations are with the reader of the answer; Commit will say ErrTxnDone
	}
	if err != nil {
		t.problems = append(t.problems, fmt.Errorf("operation %d, %v %s: %w", t.count, op.Op, op.Path, err))
	}
	if t.buf == nil {
		t.buf, _ = t.zk.core.txns.Get().(*txnBuffer)
		if t.buf == nil {
			t.buf = &txnBuffer{}
		}
	}
	t.buf.add(op, t.zk.root)
	t.count++
	return t
}

func (b *txnBuffer) add(op *zkproto.MultiOp, root string) {
	b.ops = append(b.ops, txnOp{op: op.Op, path: op.Path})
	if root != "" && op.Path == "/" && txnOpName(op.Op) != "create" {
		op.Path = "" // the root itself, and not a number in it
	}
	const length = 4
	at := len(b.body) + zkproto.MultiHeaderSize
	b.body = op.AppendTo(b.body)
	if root == "" {
		return
	}
	// The chroot goes in behind the length, which saves a string for each path.
	b.body = append(b.body, root...)
	copy(b.body[at+length+len(root):], b.body[at+length:])
	copy(b.body[at+length:], root)
	binary.BigEndian.PutUint32(b.body[at:], uint32(len(root)+len(op.Path)))
}

// recycle keeps a buffer for the next transaction. Nothing may refer to it any more.
func (t *Txn) recycle(b *txnBuffer) {
	if cap(b.body) > maxTxnBuffer || cap(b.ops) > maxTxnBuffer/64 {
		return
	}
	clear(b.ops)
	b.body, b.ops = b.body[:0], b.ops[:0]
	t.zk.core.txns.Put(b)
}

// Create adds a create of any kind; Parents, Protected and OrSet do not go with transactions.
func (t *Txn) Create(path string, data []byte, opts ...CreateOption) *Txn {
	return t.create(path, data, false, opts)
}

// CreateStat is Create whose result carries the stat, where the server sends it: ZooKeeper
// 3.8.0 and 3.8.1 do not (ZOOKEEPER-4026).
func (t *Txn) CreateStat(path string, data []byte, opts ...CreateOption) *Txn {
	return t.create(path, data, true, opts)
}

func (t *Txn) create(path string, data []byte, wantStat bool, opts []CreateOption) *Txn {
	if len(opts) == 0 {
		return t.made(path, data, wantStat, &createOptions{})
	}
	o := &createOptions{} // goes to the heap, for the options
	for _, opt := range opts {
		opt(o)
	}
	return t.made(path, data, wantStat, o)
}

func (t *Txn) made(path string, data []byte, wantStat bool, o *createOptions) *Txn {
	err := o.validate(path)
	if err == nil && (o.parents || o.protected || o.set) {
		err = badArg("options", "Parents, Protected and OrSet do not go with transactions")
	}
	mode, op := o.mode()
	if op == zkproto.OpCreate && wantStat {
		op = zkproto.OpCreate2
	}
	return t.add(&zkproto.MultiOp{
		Op: op, Path: path, Data: data, ACL: t.zk.aclUnder(path, o.acl), Mode: mode, TTL: o.ttl.Milliseconds(),
	}, err)
}

// Set adds a set of data; its result carries the stat.
func (t *Txn) Set(path string, data []byte, version int32) *Txn {
	return t.versioned(zkproto.OpSetData, path, data, version)
}

// Delete adds a delete.
func (t *Txn) Delete(path string, version int32) *Txn {
	return t.versioned(zkproto.OpDelete, path, nil, version)
}

// Check adds the condition that a znode exists and has the version, or any with [AnyVersion].
func (t *Txn) Check(path string, version int32) *Txn {
	return t.versioned(zkproto.OpCheck, path, nil, version)
}

func (t *Txn) versioned(op zkproto.OpCode, path string, data []byte, version int32) *Txn {
	return t.add(&zkproto.MultiOp{Op: op, Path: path, Data: data, Version: version}, ValidatePath(path))
}

// Len returns the number of operations added.
func (t *Txn) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// TxnResult is the result of one operation of a committed transaction.
type TxnResult struct {
	Op      string // "create", "delete", "setData" or "check"
	Path    string // actual path of a create, the path given for the others
	Stat    Stat   // of Set, and of CreateStat where the server sends it
	HasStat bool
}

// TxnError says that a transaction was rolled back, and which operation was to blame.
type TxnError struct {
	Index int      // of the operation that failed
	Op    string   // its kind
	Path  string   // its path
	Code  Code     // its error
	Codes []Code   // of all operations: 0 rolled back, Code of the failed one, ErrRuntimeInconsistency not tried
	Paths []string // of all operations
}

// Error names the operation, its index, path and code.
func (e *TxnError) Error() string {
	return fmt.Sprintf("operation %d of %d (%s %s): %v; nothing was applied", e.Index, len(e.Codes), e.Op, e.Path, e.Code)
}

// Unwrap returns the code, so that errors.Is(err, ErrBadVersion) works.
func (e *TxnError) Unwrap() error { return e.Code }

// Commit sends the transaction and returns a result per operation. When an operation fails
// the error unwraps to a [*TxnError]; nothing was applied. The same Txn cannot be committed
// again ([ErrTxnDone]). After [ErrConnectionLoss] it may have been applied as a whole:
// [MaybeApplied].
func (t *Txn) Commit(ctx context.Context) ([]TxnResult, error) {
	cl, err := t.newCommit()
	if err := t.zk.run(ctx, cl, err); err != nil {
		return nil, err
	}
	results := takeTxnResults(cl)
	cl.release()
	return results, nil
}

func (t *Txn) newCommit() (*call, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	cl := t.zk.core.newCall(zkproto.OpMulti, "commit", "")
	cl.write = true
	cl.value = t
	if t.done {
		return cl, ErrTxnDone
	}
	if len(t.problems) > 0 {
		return cl, errors.Join(t.problems...)
	}
	t.done = true
	if t.buf == nil {
		t.buf = &txnBuffer{}
	}
	t.buf.body = zkproto.AppendMultiEnd(t.buf.body)
	cl.req.data = t.buf.body
	return cl, nil
}

// decode reads the answer, on the reader's goroutine. The request went out before it, so the
// buffer is free afterwards.
func (t *Txn) decode(cl *call, r *zkproto.Reader) error {
	buf := t.buf
	t.buf, cl.req.data = nil, nil
	whole := *r
	results := make([]TxnResult, len(buf.ops))
	names := buf.body[:0] // paths that are not as given, one behind the other
	var m zkproto.MultiResult
	n := 0
	for ; ; n++ {
		path, more := m.Next(r)
		if !more {
			break
		}
		if m.Op == zkproto.OpError {
			*r = whole
			return t.verdict(cl, buf, r)
		}
		if n >= len(results) {
			continue // counted, for the error
		}
		op := &buf.ops[n]
		res := &results[n]
		res.Op, res.Path, res.Stat, res.HasStat = txnOpName(op.op), op.path, m.Stat, m.HasStat
		if len(path) > 0 && !isAbs(path, cl.root, op.path) {
			names = appendRel(names, cl.root, path)
			op.end = len(names)
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	if n != len(results) {
		return fmt.Errorf("%d results for %d operations", n, len(results))
	}
	if len(names) > 0 {
		// All share one string.
		all, from := string(names), 0
		for i := range results {
			if end := buf.ops[i].end; end > 0 {
				results[i].Path, from = all[from:end], end
			}
		}
	}
	t.results = results
	t.recycle(buf)
	return nil
}

// isAbs reports whether wire is what absPath would make of root and path.
func isAbs(wire []byte, root, path string) bool {
	return len(wire) == len(root)+len(path) && string(wire[:len(root)]) == root && string(wire[len(root):]) == path
}

// appendRel appends what relPath would return for path.
func appendRel(b []byte, root string, path []byte) []byte {
	if n := len(root); n > 0 && len(path) > n && path[n] == '/' && string(path[:n]) == root {
		path = path[n:]
	}
	return append(b, path...)
}

// verdict turns the results of a multi that the server rolled back into the call's error.
func (t *Txn) verdict(cl *call, buf *txnBuffer, r *zkproto.Reader) error {
	var m zkproto.MultiResponse
	m.Decode(r)
	if err := r.Err(); err != nil {
		return err
	}
	if len(m.Results) != len(buf.ops) {
		return fmt.Errorf("%d results for %d operations", len(m.Results), len(buf.ops))
	}
	codes, paths := make([]Code, len(buf.ops)), make([]string, len(buf.ops))
	failed := -1
	for i, r := range m.Results {
		codes[i], paths[i] = r.Err, buf.ops[i].path
		if r.Op == zkproto.OpError && r.Err != 0 && r.Err != ErrRuntimeInconsistency && failed < 0 {
			failed = i
		}
	}
	if failed < 0 {
		cl.fail(OutcomeRefused, ErrRuntimeInconsistency)
		return nil
	}
	cl.fail(OutcomeRefused, &TxnError{
		Index: failed, Op: txnOpName(buf.ops[failed].op), Path: paths[failed],
		Code: codes[failed], Codes: codes, Paths: paths,
	})
	return nil
}

func txnOpName(op zkproto.OpCode) string {
	switch op {
	case zkproto.OpDelete:
		return "delete"
	case zkproto.OpSetData:
		return "setData"
	case zkproto.OpCheck:
		return "check"
	}
	return "create"
}

func takeTxnResults(cl *call) []TxnResult {
	t, _ := cl.value.(*Txn)
	return t.results
}

// FindResult returns the result of the first operation of a kind on a path (as it was given).
func FindResult(results []TxnResult, op, path string) (TxnResult, bool) {
	for _, r := range results {
		if r.Op == op && r.Path == path {
			return r, true
		}
	}
	return TxnResult{}, false
}
