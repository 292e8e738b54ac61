package walk_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/walk"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(ensemble.WithShared(m)) }

// TestTree walks more siblings than are asked for at a time.
func TestTree(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	zk, err := gazoo.Connect(ctx, ensemble.Shared(t, ensemble.Standalone).Server(0).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer zk.Close()
	want := []string{"/r"}
	for i := range 600 {
		want = append(want, fmt.Sprintf("/r/%03d", i))
		if i%200 == 0 {
			want = append(want, want[len(want)-1]+"/x", want[len(want)-1]+"/x/y")
		}
	}
	futures := make([]gazoo.Future[gazoo.Created], len(want))
	for i, path := range want {
		futures[i] = zk.Async().Create(ctx, path, nil)
	}
	for _, f := range futures {
		if _, err := f.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}

	for _, tt := range []struct{ depth, nodes int }{{walk.Unlimited, len(want)}, {2, len(want) - 3}, {1, 601}, {0, 1}} {
		var got []string
		for n, err := range walk.Tree(ctx, zk, "/r", tt.depth) {
			if err != nil {
				t.Fatalf("Tree to depth %d: %v", tt.depth, err)
			}
			if int(n.Stat.NumChildren) != len(n.Children) || n.Stat.Czxid == 0 {
				t.Errorf("%s has stat %+v and %d children", n.Path, n.Stat, len(n.Children))
			}
			got = append(got, n.Path)
		}
		wanted := slices.DeleteFunc(slices.Clone(want), func(path string) bool {
			return tt.depth != walk.Unlimited && depth(path) > tt.depth
		})
		if len(got) != tt.nodes || !slices.Equal(got, wanted) {
			t.Errorf("Tree to depth %d visited %d znodes, want %d; got %q", tt.depth, len(got), tt.nodes, got)
		}
	}

	n := 0
	for range walk.Tree(ctx, zk, "/r", walk.Unlimited) {
		if n++; n == 3 {
			break
		}
	}
	if _, _, err := zk.Exists(ctx, "/r"); err != nil {
		t.Errorf("Exists after a walk that was broken off: %v", err)
	}
}

// depth is how far a path is below /r.
func depth(path string) int {
	n := -1
	for _, c := range path {
		if c == '/' {
			n++
		}
	}
	return n
}
