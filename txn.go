package gazoo

import (
	"context"
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
	ops      []zkproto.MultiOp
	paths    []string // as given
	problems []error
	done     bool
}

// Txn begins a transaction on this view.
func (zk *Client) Txn() *Txn { return &Txn{zk: zk} }

func (t *Txn) add(op zkproto.MultiOp, path string, err error) *Txn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return t // its operations are with the reader of the answer; Commit will say ErrTxnDone
	}
	if err != nil {
		t.problems = append(t.problems, fmt.Errorf("operation %d, %v %s: %w", len(t.ops), op.Op, path, err))
	}
	t.ops = append(t.ops, op)
	t.paths = append(t.paths, path)
	return t
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
	o := &createOptions{}
	for _, opt := range opts {
		opt(o)
	}
	err := o.validate(path)
	if err == nil && (o.parents || o.protected || o.set) {
		err = badArg("options", "Parents, Protected and OrSet do not go with transactions")
	}
	mode, op := o.mode()
	if op == zkproto.OpCreate && wantStat {
		op = zkproto.OpCreate2
	}
	full := t.zk.root + path
	return t.add(zkproto.MultiOp{
		Op: op, Path: full, Data: data, ACL: t.zk.aclFor(full, o.acl), Mode: mode, TTL: o.ttl.Milliseconds(),
	}, path, err)
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
	err := ValidatePath(path)
	return t.add(zkproto.MultiOp{Op: op, Path: absPath(t.zk.root, path), Data: data, Version: version}, path, err)
}

// Len returns the number of operations added.
func (t *Txn) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ops)
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
	cl.req.ops = t.ops
	return cl, nil
}

// verdict turns the results of a multi that the server rolled back into the call's error. It
// is called when the reply is decoded.
func (t *Txn) verdict(cl *call) error {
	if len(cl.results) != len(t.ops) {
		return fmt.Errorf("%d results for %d operations", len(cl.results), len(t.ops))
	}
	codes := make([]Code, len(cl.results))
	failed := -1
	for i, r := range cl.results {
		codes[i] = r.Err
		if r.Op == zkproto.OpError && r.Err != 0 && r.Err != ErrRuntimeInconsistency && failed < 0 {
			failed = i
		}
	}
	rolledBack := len(cl.results) > 0 && cl.results[0].Op == zkproto.OpError
	switch {
	case failed >= 0:
		cl.fail(OutcomeRefused, &TxnError{
			Index: failed, Op: txnOp(t.ops[failed].Op), Path: t.paths[failed],
			Code: codes[failed], Codes: codes, Paths: t.paths,
		})
	case rolledBack:
		cl.fail(OutcomeRefused, ErrRuntimeInconsistency)
	}
	return nil
}

func txnOp(op zkproto.OpCode) string {
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
	out := make([]TxnResult, len(cl.results))
	for i, r := range cl.results {
		out[i] = TxnResult{Op: txnOp(t.ops[i].Op), Path: t.paths[i], Stat: r.Stat, HasStat: r.HasStat}
		if r.Path != "" {
			out[i].Path, _ = relPath(cl.root, r.Path)
		}
	}
	return out
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
