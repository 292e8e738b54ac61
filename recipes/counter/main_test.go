package counter_test

import (
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newInt(t *testing.T, zk *gazoo.Client, path string, opts ...counter.Option) *counter.Counter[int64] {
	t.Helper()
	c, err := counter.NewInt(zk, path, 0, opts...)
	must(t, err)
	return c
}

func newText(t *testing.T, zk *gazoo.Client, path string, opts ...counter.Option) *counter.Value[string] {
	t.Helper()
	v, err := counter.NewValue(zk, path, counter.String(), opts...)
	must(t, err)
	return v
}

func wantStored(t *testing.T, srv *zktest.Server, path, want string) {
	t.Helper()
	if got, _ := srv.Get(path); got != want {
		t.Errorf("%s holds %q, want %q", path, got, want)
	}
}
