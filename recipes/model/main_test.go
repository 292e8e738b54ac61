package model_test

import (
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/model"
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

// user is what most tests keep in znodes.
type user struct {
	Name   string
	Logins int
}

type userKey struct {
	Tenant string
	ID     int `path:"user"`
}

const userPaths = "/app/{tenant}/users/{user}"

func newUsers(t *testing.T, zk *gazoo.Client, opts ...model.Option) *model.Model[userKey, user] {
	t.Helper()
	users, err := model.New[userKey](zk, userPaths, model.JSON[user](), opts...)
	must(t, err)
	return users
}

func newNode(t *testing.T, zk *gazoo.Client, path string, opts ...model.Option) *model.Node[user] {
	t.Helper()
	n, err := model.NewNode(zk, path, model.JSON[user](), opts...)
	must(t, err)
	return n
}

func wantStored(t *testing.T, srv *zktest.Server, path, want string) {
	t.Helper()
	if got, _ := srv.Get(path); got != want {
		t.Errorf("%s holds %q, want %q", path, got, want)
	}
}
