package gazoo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

func multi(results ...zkproto.MultiResult) map[zkproto.OpCode]peer.Body {
	return map[zkproto.OpCode]peer.Body{
		zkproto.OpMulti: zkproto.MultiResponse{Results: results}, zkproto.OpMultiRead: zkproto.MultiResponse{Results: results},
	}
}

func failedOp(code zkproto.Code) zkproto.MultiResult {
	return zkproto.MultiResult{Op: zkproto.OpError, Err: code}
}

func TestTransactionOnTheWireAndItsResults(t *testing.T) {
	for _, root := range []string{"", "/x"} {
		bubble(t, func(t *testing.T, w *world) {
			srv := w.can("a:2181", multi(
				zkproto.MultiResult{Op: zkproto.OpCheck},
				zkproto.MultiResult{Op: zkproto.OpCreate, Path: root + "/b"},
				zkproto.MultiResult{Op: zkproto.OpCreate, Path: root + "/s-0000000003"},
				zkproto.MultiResult{Op: zkproto.OpCreate2, Path: root + "/c", Stat: aStat, HasStat: true},
				zkproto.MultiResult{Op: zkproto.OpCreate2, Path: root + "/t", Stat: aStat, HasStat: true},
				zkproto.MultiResult{Op: zkproto.OpCreate2, Path: root + "/d", Stat: aStat, HasStat: true},
				zkproto.MultiResult{Op: zkproto.OpCreate, Path: root + "/e"}, // create2 as 3.8.0 answers it
				zkproto.MultiResult{Op: zkproto.OpSetData, Stat: aStat, HasStat: true},
				zkproto.MultiResult{Op: zkproto.OpDelete},
			), nil)
			zk := w.connect("a"+root, gazoo.WithDefaultACL(readACL...))
			txn := zk.Txn().
				Check("/a", 3).
				Create("/b", []byte("v")).
				Create("/s-", nil, gazoo.Sequential(), gazoo.Ephemeral()).
				Create("/c", nil, gazoo.Container()).
				Create("/t", nil, gazoo.TTL(time.Second), gazoo.WithACL(openACL...)).
				CreateStat("/d", []byte{}).
				CreateStat("/e", nil).
				Set("/a", []byte("w"), gazoo.AnyVersion).
				Delete("/f", 7)
			if n := len(srv.take()); n != 0 || txn.Len() != 9 {
				t.Errorf("before Commit %d requests and Len %d, want 0 and 9", n, txn.Len())
			}
			got, err := txn.Commit(t.Context())
			must(t, err)
			want := []gazoo.TxnResult{
				{Op: "check", Path: "/a"},
				{Op: "create", Path: "/b"},
				{Op: "create", Path: "/s-0000000003"},
				{Op: "create", Path: "/c", Stat: aStat, HasStat: true},
				{Op: "create", Path: "/t", Stat: aStat, HasStat: true},
				{Op: "create", Path: "/d", Stat: aStat, HasStat: true},
				{Op: "create", Path: "/e"},
				{Op: "setData", Path: "/a", Stat: aStat, HasStat: true},
				{Op: "delete", Path: "/f"},
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Commit = %+v, want %+v", got, want)
			}
			if r, ok := gazoo.FindResult(got, "setData", "/a"); !ok || r.Stat != aStat {
				t.Errorf("FindResult(setData /a) = %+v, %v", r, ok)
			}
			if r, ok := gazoo.FindResult(got, "delete", "/a"); ok {
				t.Errorf("FindResult(delete /a) = %+v, want nothing", r)
			}
			wire := zkproto.MultiRequest{Ops: []zkproto.MultiOp{
				{Op: zkproto.OpCheck, Path: root + "/a", Version: 3},
				{Op: zkproto.OpCreate, Path: root + "/b", Data: []byte("v"), ACL: readACL},
				{Op: zkproto.OpCreate, Path: root + "/s-", ACL: readACL, Mode: zkproto.ModeEphemeralSequential},
				{Op: zkproto.OpCreateContainer, Path: root + "/c", ACL: readACL, Mode: zkproto.ModeContainer},
				{Op: zkproto.OpCreateTTL, Path: root + "/t", ACL: openACL, Mode: zkproto.ModePersistentTTL, TTL: 1000},
				{Op: zkproto.OpCreate2, Path: root + "/d", Data: []byte{}, ACL: readACL},
				{Op: zkproto.OpCreate2, Path: root + "/e", ACL: readACL},
				{Op: zkproto.OpSetData, Path: root + "/a", Data: []byte("w"), Version: -1},
				{Op: zkproto.OpDelete, Path: root + "/f", Version: 7},
			}}.AppendTo(nil)
			if reqs := srv.take(); len(reqs) != 1 || !bytes.Equal(reqs[0].Body, wire) {
				t.Errorf("sent %q, want %q", reqs, wire)
			}
		})
	}
}

func TestFailedTransactionNamesTheOperationToBlame(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.can("a:2181", multi(failedOp(0), failedOp(0), failedOp(zkproto.ErrBadVersion), failedOp(-2), failedOp(-2)), nil)
		zk := w.connect("a/x")
		build := func() *gazoo.Txn {
			return zk.Txn().Create("/0", nil).Delete("/1", 0).Set("/2", nil, 4).Check("/3", 0).Create("/4", nil)
		}
		_, serr := build().Commit(t.Context())
		_, aerr := zk.Async().Commit(t.Context(), build()).Wait(t.Context())
		for _, err := range []error{serr, aerr} {
			txn, ok := errors.AsType[*gazoo.TxnError](err)
			if !ok || !errors.Is(err, gazoo.ErrBadVersion) || errors.Is(err, gazoo.ErrRuntimeInconsistency) {
				t.Fatalf("Commit: %v, want a *TxnError that is ErrBadVersion alone", err)
			}
			want := gazoo.TxnError{
				Index: 2, Op: "setData", Path: "/2", Code: gazoo.ErrBadVersion,
				Codes: []gazoo.Code{0, 0, gazoo.ErrBadVersion, gazoo.ErrRuntimeInconsistency, gazoo.ErrRuntimeInconsistency},
				Paths: []string{"/0", "/1", "/2", "/3", "/4"},
			}
			if !reflect.DeepEqual(*txn, want) {
				t.Errorf("got %+v, want %+v", *txn, want)
			}
			if text := err.Error(); !strings.Contains(text, "operation 2 of 5 (setData /2)") || gazoo.MaybeApplied(err) {
				t.Errorf("text %q, maybe applied %v", text, gazoo.MaybeApplied(err))
			}
		}
	})
}

func TestTransactionRefusedAsAWhole(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.can("a:2181", nil, map[zkproto.OpCode]zkproto.Code{zkproto.OpMulti: zkproto.ErrMarshallingError})
		zk := w.connect("a")
		if _, err := zk.Txn().Check("/a", 0).Commit(t.Context()); !errors.Is(err, gazoo.ErrMarshalling) {
			t.Errorf("Commit: %v, want ErrMarshalling", err)
		}
	})
}

func TestEmptyTransactionSucceeds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.can("a:2181", multi(), nil)
		zk := w.connect("a")
		if got, err := zk.Txn().Commit(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("Commit = %v, %v, want no results and no error", got, err)
		}
	})
}

func TestTransactionIsCommittedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		srv := w.can("a:2181", multi(zkproto.MultiResult{Op: zkproto.OpDelete}), nil)
		zk := w.connect("a")
		txn := zk.Txn().Delete("/a", 0)
		first := zk.Async().Commit(ctx, txn)
		txn.Delete("/b", 0) // on its way already: must not disturb it
		if got, err := first.Wait(ctx); err != nil || len(got) != 1 || got[0].Path != "/a" {
			t.Errorf("Commit = %+v, %v, want the one result", got, err)
		}
		if _, err := txn.Commit(ctx); !errors.Is(err, gazoo.ErrTxnDone) || !gazoo.WasNotSent(err) {
			t.Errorf("second Commit: %v, want ErrTxnDone, not sent", err)
		}
		if n := len(srv.take()); n != 1 || zk.State() != gazoo.StateConnected {
			t.Errorf("%d requests, state %v, want 1, connected", n, zk.State())
		}
	})
}

func TestTransactionReportsEveryInvalidOperationAtCommit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.can("a:2181", nil, nil)
		zk := w.connect("a")
		_, err := zk.Txn().Create("bad", nil).Set("/ok", nil, 0).Set("/a/", nil, 0).Create("/p", nil, gazoo.Protected()).Commit(t.Context())
		arg, ok := errors.AsType[*gazoo.ArgumentError](err)
		if !ok || arg.Arg != "path" || !gazoo.WasNotSent(err) {
			t.Errorf("Commit: %v, want an *ArgumentError, not sent", err)
		}
		for _, part := range []string{"operation 0, create bad", "operation 2, setData /a/", "operation 3, create /p"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %q", err, part)
			}
		}
		if n := len(srv.take()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

func TestManySmallOperationsFitIntoOneTransaction(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		results := slices.Repeat([]zkproto.MultiResult{{Op: zkproto.OpDelete}}, 20000)
		w.can("a:2181", multi(results...), nil)
		zk := w.connect("a")
		txn := zk.Txn()
		for range results {
			txn.Delete("/a", 0) // 19 bytes each on the wire
		}
		if got, err := txn.Commit(t.Context()); err != nil || len(got) != len(results) {
			t.Errorf("Commit = %d results, %v", len(got), err)
		}
	})
}

func TestTransactionOnTheChrootItself(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.can("a:2181", multi(
			zkproto.MultiResult{Op: zkproto.OpCheck},
			zkproto.MultiResult{Op: zkproto.OpCreate, Path: "/x/0000000007"},
			zkproto.MultiResult{Op: zkproto.OpCreate, Path: "/x/s/0000000008"},
			zkproto.MultiResult{Op: zkproto.OpCreate, Path: "/xy"}, // outside: whole
		), nil)
		zk := w.connect("a/x")
		got, err := zk.Txn().Check("/", 1).
			Create("/", nil, gazoo.Sequential()).
			Create("/s/", nil, gazoo.Sequential()).
			Create("/y", nil).Commit(t.Context())
		must(t, err)
		want := []gazoo.TxnResult{
			{Op: "check", Path: "/"}, {Op: "create", Path: "/0000000007"}, {Op: "create", Path: "/s/0000000008"}, {Op: "create", Path: "/xy"},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Commit = %+v, want %+v", got, want)
		}
		wire := zkproto.MultiRequest{Ops: []zkproto.MultiOp{
			{Op: zkproto.OpCheck, Path: "/x", Version: 1},
			{Op: zkproto.OpCreate, Path: "/x/", ACL: openACL, Mode: zkproto.ModePersistentSequential},
			{Op: zkproto.OpCreate, Path: "/x/s/", ACL: openACL, Mode: zkproto.ModePersistentSequential},
			{Op: zkproto.OpCreate, Path: "/x/y", ACL: openACL},
		}}.AppendTo(nil)
		if reqs := srv.take(); len(reqs) != 1 || !bytes.Equal(reqs[0].Body, wire) {
			t.Errorf("sent %q, want %q", reqs, wire)
		}
	})
}

// TestResultsOutliveTheirTransaction commits one after another: buffers are used again, results
// are their owner's.
func TestResultsOutliveTheirTransaction(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.can("a:2181", multi(
			zkproto.MultiResult{Op: zkproto.OpCreate, Path: "/s-0000000001"},
			zkproto.MultiResult{Op: zkproto.OpDelete},
		), nil)
		zk := w.connect("a")
		data := []byte("of the caller")
		first := zk.Txn().Create("/s-", data, gazoo.Sequential()).Delete("/d", 0)
		clear(data) // was copied
		future := zk.Async().Commit(t.Context(), first)
		got, err := future.Wait(t.Context())
		must(t, err)
		for range 3 {
			if _, err := zk.Txn().Create("/other", nil).Delete("/another", 0).Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		again, err := future.Wait(t.Context())
		must(t, err)
		for _, results := range [][]gazoo.TxnResult{got, again} {
			if len(results) != 2 || results[0].Path != "/s-0000000001" || results[1].Path != "/d" {
				t.Errorf("results %+v", results)
			}
		}
		if first.Len() != 2 {
			t.Errorf("Len() = %d, want 2", first.Len())
		}
	})
}

// TestTransactionsAllocateLittle guards what the benchmarks measured: the results and the Txn are
// all that a transaction of any size allocates, and one string more for paths that the server made.
func TestTransactionsAllocateLittle(t *testing.T) {
	const n = 100
	given := make([]string, n)
	results := make([]zkproto.MultiResult, n)
	for i := range given {
		given[i] = fmt.Sprintf("/given-%03d", i)
		results[i] = zkproto.MultiResult{Op: zkproto.OpCreate, Path: "/made/by" + given[i]}
		if i%2 == 0 {
			results[i].Path = "/x" + given[i]
		}
	}
	zk, err := benchClient(t, zkproto.MultiResponse{Results: results}.AppendTo(nil)).Chroot("/x")
	must(t, err)
	data := make([]byte, 100)
	round := func() {
		txn := zk.Txn()
		for _, path := range given {
			txn.Create(path, data)
		}
		got, err := txn.Commit(context.Background())
		if err != nil || got[0].Path != given[0] || got[n-1].Path != "/made/by"+given[n-1] {
			t.Fatal(got, err)
		}
	}
	round()
	// With -race pools forget, so that buffers grow again.
	if n := testing.AllocsPerRun(200, round); n > 20 {
		t.Errorf("a transaction of 100 creates allocates %.1f times, want 3, or at most 20 with -race", n)
	}
}

func TestMultiReadOnTheWireAndItsResults(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		srv := w.can("a:2181", multi(
			zkproto.MultiResult{Op: zkproto.OpGetData, Data: []byte("x"), Stat: aStat, HasStat: true},
			failedOp(zkproto.ErrNoNode),
			zkproto.MultiResult{Op: zkproto.OpGetChildren, Children: []string{"k"}},
		), nil)
		zk := w.connect("a/x")
		reads := []gazoo.Read{gazoo.ReadData("/a"), gazoo.ReadData("/b"), gazoo.ReadChildren("/")}
		future := zk.Async().MultiRead(ctx, reads...)
		reads[0] = gazoo.ReadData("/changed")
		async, err := future.Wait(ctx)
		must(t, err)
		sync, err := zk.MultiRead(ctx, gazoo.ReadData("/a"), gazoo.ReadData("/b"), gazoo.ReadChildren("/"))
		must(t, err)
		wire := zkproto.MultiRequest{Ops: []zkproto.MultiOp{
			{Op: zkproto.OpGetData, Path: "/x/a"}, {Op: zkproto.OpGetData, Path: "/x/b"}, {Op: zkproto.OpGetChildren, Path: "/x"},
		}}.AppendTo(nil)
		for i, req := range srv.take() {
			if !bytes.Equal(req.Body, wire) {
				t.Errorf("request %d is %q, want %q", i, req.Body, wire)
			}
		}
		for _, got := range [][]gazoo.ReadResult{sync, async} {
			if got[0].Path != "/a" || string(got[0].Data) != "x" || got[0].Stat != aStat || got[0].Err != nil {
				t.Errorf("read 0 = %+v", got[0])
			}
			e, ok := errors.AsType[*gazoo.OpError](got[1].Err)
			if !ok || e.Op != "get" || e.Path != "/b" || e.Err != gazoo.ErrNoNode {
				t.Errorf("read 1 = %+v, want an *OpError of its own", got[1])
			}
			if got[2].Path != "/" || !slices.Equal(got[2].Children, []string{"k"}) {
				t.Errorf("read 2 = %+v", got[2])
			}
		}
	})
}
