package gazoo

import (
	"cmp"
	"slices"
)

// WatchedPath counts what a client waits for on one path.
type WatchedPath struct {
	Path                   string
	Data, Exists, Children int // one-shots
	Persistent, Recursive  int // streams
}

// Watches returns what this client waits for below the view's root, by path, for debugging.
// Streams fed from one-shots, on servers without persistent watches, show as those.
func (zk *Client) Watches() []WatchedPath {
	list := zk.core.watches.list(zk.root)
	slices.SortFunc(list, func(a, b WatchedPath) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

func (r *registry) list(root string) []WatchedPath {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []WatchedPath
	for path, e := range r.paths {
		rel, inside := relPath(root, path)
		p := WatchedPath{
			rel, e.shots[watchData].len(), e.shots[watchExist].len(), e.shots[watchChild].len(),
			len(e.persistent()), len(e.recursive()),
		}
		if inside && p != (WatchedPath{Path: rel}) {
			list = append(list, p)
		}
	}
	return list
}
