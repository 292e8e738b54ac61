package real

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// outliving is longer than sessions of a run live on without a client: their ephemerals go meanwhile.
const outliving = 5 * time.Second

// comparing is how long a comparison may take: servers that have just healed may still have to find each other.
const comparing = 2 * time.Minute

// Divergence looks at each server alone and returns where they hold different data below root; nothing when they agree.
//
// Servers that have applied the same transactions hold the same, whatever clients do, so a difference that stays is a fault
// of the servers, and what was promised on top of them means nothing.
func (w *World) Divergence(ctx context.Context, root string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, comparing)
	defer cancel()
	addrs := make([]string, w.ensemble.Len())
	for i := range addrs {
		addrs[i] = w.ensemble.Server(i).Addr()
	}
	return divergence(ctx, addrs, root, func() { program.Sleep(ctx, outliving) })
}

// divergence compares twice, before and after wait: what still changes is no difference.
func divergence(ctx context.Context, addrs []string, root string, wait func()) (lines []string, err error) {
	seed := maphash.MakeSeed()
	first, err := differences(ctx, addrs, root, seed)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	wait()
	second, err := differences(ctx, addrs, root, seed)
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(first)) {
		if second[path] == first[path] {
			lines = append(lines, path+": "+first[path])
		}
	}
	return lines, nil
}

// differences returns, by path, what each server holds where they do not hold the same.
func differences(ctx context.Context, addrs []string, root string, seed maphash.Seed) (map[string]string, error) {
	trees := make([]map[string]string, len(addrs))
	paths := map[string]bool{}
	for i, addr := range addrs {
		tree, err := treeOf(ctx, addr, root, seed)
		if err != nil {
			return nil, fmt.Errorf("tree of %s: %w", addr, err)
		}
		trees[i] = tree
		for path := range tree {
			paths[path] = true
		}
	}
	found := map[string]string{}
	for path := range paths {
		same := true
		var held []string
		for _, tree := range trees {
			node := tree[path]
			same = same && node == trees[0][path]
			if node == "" {
				node = "nothing"
			}
			held = append(held, node)
		}
		if !same {
			found[path] = strings.Join(held, " | ")
		}
	}
	return found, nil
}

// treeOf returns the znodes that one server holds below root, as text. Versions and zxids of children are left out: ZooKeeper
// does not keep them alike in a snapshot that was taken while the tree changed.
func treeOf(ctx context.Context, addr, root string, seed maphash.Seed) (map[string]string, error) {
	zk, err := gazoo.Connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer zk.CloseNow()
	var tree map[string]string
	err = zk.Retry(ctx, func(ctx context.Context) (err error) { // the server may still look for its leader
		tree, err = readTree(ctx, zk, root, seed)
		return err
	})
	return tree, err
}

func readTree(ctx context.Context, zk *gazoo.Client, root string, seed maphash.Seed) (map[string]string, error) {
	if err := zk.Sync(ctx, root); err != nil {
		return nil, err
	}
	tree := map[string]string{}
	for path, err := range zk.Walk(ctx, root) {
		if err != nil {
			return nil, err
		}
		data, stat, err := zk.Get(ctx, path)
		if errors.Is(err, gazoo.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		tree[path] = fmt.Sprintf("created %#x, written %#x, version %d, owner %#x, data %x",
			stat.Czxid, stat.Mzxid, stat.Version, stat.EphemeralOwner, maphash.Bytes(seed, data))
	}
	return tree, nil
}
