package basic

import (
	"context"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// SyncRead writes a few znodes, and reads them behind a sync: what is read is at least as new as all that was acknowledged
// to anybody before the sync began.
//
// That is true of followers. A leader answers a sync like a read, which may overtake a commit that a follower has told of
// already; and one that has been replaced does not know. So the program asks the server before and after what it is, and
// what a leader answers is not judged. A server that goes from one to the other closes its connections meanwhile, and the
// sync and the read are on one connection.
func SyncRead() *program.Program {
	return &program.Program{
		Name: "sync",
		// A follower of a leader that has been replaced does not know either.
		Needs: program.Needs{OneLeader: true},
		Setup: made(synced...), Client: syncClient, Check: checkSync,
	}
}

var synced = []string{"/a", "/b"}

// syncOut is what a write or a read returned. Versions tell which is newer, as the znodes are never deleted.
type syncOut struct {
	Version int32  `json:"n"`
	Role    string `json:"r,omitempty"` // of the server that was read
}

func syncClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	for i := 0; e.Pause(ctx, 150*time.Millisecond); i++ {
		key := synced[e.Rand.IntN(len(synced))]
		op, cancel := context.WithTimeout(ctx, call)
		if e.Rand.IntN(2) == 0 {
			p := e.Begin("write", key, nil)
			stat, err := zk.Set(op, key, []byte(name(e, i)), gazoo.AnyVersion)
			p.End(syncOut{Version: stat.Version}, err)
		} else if before := role(op, zk); before != "" {
			p := e.Begin("read", key, nil)
			behind := zk.Async().Sync(op, key)
			read := zk.Async().Get(op, key)
			_, err := behind.Wait(op)
			var node gazoo.Node
			if err == nil {
				node, err = read.Wait(op)
			}
			out := syncOut{Version: node.Stat.Version}
			if role(op, zk) == before {
				out.Role = before
			}
			p.End(out, err)
		}
		cancel()
	}
	return nil
}

// role returns what the server is that the client is connected to, with its address: "follower at zk1:2181"; "" when it
// cannot be told.
func role(ctx context.Context, zk *gazoo.Client) string {
	server := zk.Server()
	text, err := zk.FourLetterWord(ctx, "srvr")
	if err != nil || server == "" || zk.Server() != server {
		return ""
	}
	for line := range strings.Lines(text) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode) + " at " + server
		}
	}
	return ""
}

func checkSync(ops []history.Op) (bad []program.Violation) {
	for _, key := range synced {
		var known []numbered
		for i := range ops {
			op := &ops[i]
			if op.Key != key || op.Outcome != history.OK {
				continue
			}
			out := history.Decode[syncOut](op.Out)
			if op.Kind == "write" {
				known = append(known, numbered{op: op, number: int64(out.Version)})
				continue
			}
			if out.Role == "" || strings.HasPrefix(out.Role, "leader") {
				continue
			}
			// What others read later may be older.
			read := *op
			read.End = history.Never
			known = append(known, numbered{op: &read, number: int64(out.Version), orSame: true})
		}
		bad = append(bad, timely("as new as what was acknowledged", known)...)
	}
	return bad
}
