package gazoo_test

import (
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestWatchesAreListed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.plant("a:2181").mustCreate("/app", "/app/x", "/other")
		zk := w.connect("a")
		view, err := zk.Chroot("/app")
		must(t, err)
		_, _, data, err := view.GetW(t.Context(), "/x")
		must(t, err)
		_, _, _, err = view.ExistsW(t.Context(), "/missing")
		must(t, err)
		_, _, _, err = zk.ChildrenW(t.Context(), "/other")
		must(t, err)
		mustWatch(t, view, "/x", gazoo.Recursive())
		want := []gazoo.WatchedPath{{Path: "/missing", Exists: 1}, {Path: "/x", Data: 1, Recursive: 1}}
		if got := view.Watches(); !slices.Equal(got, want) {
			t.Errorf("Watches() of the view = %+v, want %+v", got, want)
		}
		if got := zk.Watches(); len(got) != 3 || got[2].Path != "/other" || got[2].Children != 1 {
			t.Errorf("Watches() = %+v, want three paths", got)
		}
		data.Close()
		if got := view.Watches(); got[1].Data != 0 {
			t.Errorf("a closed watch is still listed: %+v", got[1])
		}
	})
}
