package tree_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tree"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// plant makes znodes, parents first: "/a=data".
func plant(t *testing.T, zk *gazoo.Client, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		path, data, _ := strings.Cut(node, "=")
		if _, err := zk.Create(t.Context(), path, []byte(data), gazoo.Parents()); err != nil {
			t.Fatal(err)
		}
	}
}

// content returns what is at a path and below it, as "relative path=data", sorted.
func content(t *testing.T, zk *gazoo.Client, root string) []string {
	t.Helper()
	must(t, zk.Sync(t.Context(), root))
	var out []string
	for node, err := range tree.Walk(t.Context(), zk, root) {
		must(t, err)
		out = append(out, strings.TrimPrefix(node.Path, root)+"="+string(node.Data))
	}
	slices.Sort(out)
	return out
}

func wantContent(t *testing.T, zk *gazoo.Client, root string, want ...string) {
	t.Helper()
	if got := content(t, zk, root); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", root, got, want)
	}
}

// big makes a subtree of n znodes in the server of a test.
func big(t *testing.T, srv *zktest.Server, root string, n int) {
	t.Helper()
	for i := range n {
		must(t, srv.Put(fmt.Sprintf("%s/%d/%d", root, i%7, i), fmt.Sprint("data of ", i)))
	}
}
