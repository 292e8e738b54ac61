package gazoo_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
)

func TestOperations(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		path, err := zk.Create(ctx, "/a", []byte("one"))
		must(t, err)
		if path != "/a" {
			t.Errorf("Create = %q, want /a", path)
		}
		data, stat, err := zk.Get(ctx, "/a")
		must(t, err)
		if string(data) != "one" || stat.Version != 0 {
			t.Errorf("Get = %q version %d", data, stat.Version)
		}
		if _, err := zk.Create(ctx, "/a", nil); !errors.Is(err, gazoo.ErrNodeExists) {
			t.Errorf("second Create: %v, want ErrNodeExists", err)
		}
		stat, err = zk.Set(ctx, "/a", []byte("two"), 0)
		must(t, err)
		if stat.Version != 1 {
			t.Errorf("version after Set = %d, want 1", stat.Version)
		}
		if _, err = zk.Set(ctx, "/a", nil, 0); !errors.Is(err, gazoo.ErrBadVersion) {
			t.Errorf("Set with an old version: %v, want ErrBadVersion", err)
		}
		path, err = zk.Create(ctx, "/deep/er/n-", nil, gazoo.Parents(), gazoo.Ephemeral(), gazoo.Sequential())
		must(t, err)
		if path != "/deep/er/n-0000000000" {
			t.Errorf("sequential path = %q", path)
		}
		names, err := zk.Children(ctx, "/")
		must(t, err)
		slices.Sort(names)
		if !slices.Equal(names, []string{"a", "deep"}) {
			t.Errorf("Children = %q", names)
		}
		n, err := zk.AllChildrenNumber(ctx, "/")
		must(t, err)
		if n != 4 {
			t.Errorf("AllChildrenNumber = %d, want 4", n)
		}
		eph, err := zk.Ephemerals(ctx, "")
		must(t, err)
		if !slices.Equal(eph, []string{path}) {
			t.Errorf("Ephemerals = %q", eph)
		}
		_, _, w, err := zk.GetW(ctx, "/a")
		must(t, err)
		_, err = zk.Set(ctx, "/a", nil, gazoo.AnyVersion)
		must(t, err)
		ev, err := w.Wait(ctx)
		must(t, err)
		if ev.Type != gazoo.EventDataChanged || ev.Path != "/a" {
			t.Errorf("event = %+v", ev)
		}
		must(t, zk.DeleteRecursive(ctx, "/deep", nil))
		if _, found, err := zk.Exists(ctx, "/deep"); err != nil || found {
			t.Errorf("Exists after DeleteRecursive = %v, %v", found, err)
		}
	})
}
