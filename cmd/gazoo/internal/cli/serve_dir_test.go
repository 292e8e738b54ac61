package cli_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gazoo-zk/gazoo"
)

// cmdFlip changes a bit of a file: flip FILE OFFSET.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	data[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

type ackedKey struct{}

// acked is what the server of a script has acknowledged.
type acked struct{ paths []string }

// cmdFill creates znodes on a server until it is gone, and remembers those that it acknowledged:
// fill ADDRESS.
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var mu sync.Mutex
	var paths []string
	var wg sync.WaitGroup
	for c := range 4 {
		zk, err := gazoo.Connect(ctx, args[0])
		ts.Check(err)
		wg.Go(func() {
			defer zk.CloseNow()
			for i := 0; ; i++ {
				path := fmt.Sprintf("/c%d-%d", c, i)
				if _, err := zk.Create(ctx, path, []byte(strings.Repeat("x", 300))); err != nil {
					return
				}
				mu.Lock()
				paths = append(paths, path)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil || len(paths) < 50 {
		ts.Fatalf("the server acknowledged %d creates and did not end", len(paths))
	}
	ts.Value(ackedKey{}).(*acked).paths = paths
}

// cmdFilled checks that what fill remembers is there: filled ADDRESS.
func cmdFilled(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	zk, err := gazoo.Connect(ctx, args[0])
	ts.Check(err)
	defer zk.CloseNow()
	for _, path := range ts.Value(ackedKey{}).(*acked).paths {
		if data, _, err := zk.Get(ctx, path); err != nil || len(data) != 300 {
			ts.Fatalf("%s, which was acknowledged: %d bytes, %v", path, len(data), err)
		}
	}
}
