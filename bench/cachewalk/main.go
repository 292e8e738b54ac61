// Command cachewalk loads a tree into a cache of package recipes/cache, and by turns the way a program does it with
// go-zookeeper/zk: a walk that asks for the children and the data of one znode after another. It also tells how much
// memory the cache takes beyond paths and data.
//
//	go run ./bench/cachewalk -nodes 100000 -rounds 5
//
// It prints medians, and fails when the cache takes more than a fifth of the walk's time (-percent) or more than 400
// bytes of overhead for each znode.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	peer "github.com/go-zookeeper/zk"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/zkserver"
)

const maxOverhead = 400 // bytes

func main() {
	nodes := flag.Int("nodes", 100_000, "znodes of the tree")
	rounds := flag.Int("rounds", 5, "loads of each kind, by turns")
	percent := flag.Int("percent", 20, "what the cache may take of the walk's time")
	servers := flag.String("servers", "", "a server of one's own, on which the tree is made below /cachewalk; default: the embedded one, in this process")
	flag.Parse()
	if err := run(context.Background(), *nodes, *rounds, *percent, *servers); err != nil {
		fmt.Fprintln(os.Stderr, "cachewalk:", err)
		os.Exit(1)
	}
}

const root = "/cachewalk"

func run(ctx context.Context, nodes, rounds, maxPercent int, servers string) error {
	if servers == "" {
		srv, err := zkserver.Start(zkserver.WithAddr("127.0.0.1:0"))
		if err != nil {
			return err
		}
		defer srv.Close()
		servers = srv.Addr()
	}
	zk, err := gazoo.Connect(ctx, servers)
	if err != nil {
		return err
	}
	defer zk.Close()
	if err := fill(ctx, zk, nodes); err != nil {
		return err
	}
	walker, _, err := peer.Connect([]string{servers}, 30*time.Second, peer.WithLogInfo(false))
	if err != nil {
		return err
	}
	defer walker.Close()

	var ours, theirs []time.Duration
	var overhead int64
	for range rounds {
		begin := time.Now()
		n, err := walk(walker, root)
		if err != nil {
			return err
		}
		if n != nodes+1 {
			return fmt.Errorf("the walk found %d znodes, not %d", n, nodes+1)
		}
		theirs = append(theirs, time.Since(begin))

		took, perNode, err := load(ctx, zk, nodes)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		overhead = max(overhead, perNode)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	mine, other := ours[rounds/2], theirs[rounds/2]
	percent := int(100 * mine / other)
	fmt.Printf("cache: nodes=%d rounds=%d ours_ms=%d peer_ms=%d percent=%d overhead_bytes=%d\n",
		nodes, rounds, mine.Milliseconds(), other.Milliseconds(), percent, overhead)
	switch {
	case percent > maxPercent:
		return fmt.Errorf("%d percent of the walk's time, promised at most %d", percent, maxPercent)
	case overhead > maxOverhead:
		return fmt.Errorf("%d bytes of overhead for a znode, promised at most %d", overhead, maxOverhead)
	}
	return nil
}

// data is what each znode holds.
var data = make([]byte, 100)

// fill makes the tree: directories of a hundred znodes.
func fill(ctx context.Context, zk *gazoo.Client, nodes int) error {
	if err := zk.DeleteRecursive(ctx, root, nil); err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		return err
	}
	if _, err := zk.Create(ctx, root, nil); err != nil {
		return err
	}
	async := zk.Async()
	var last gazoo.Future[gazoo.Created]
	for i := range nodes {
		path := fmt.Sprintf("%s/dir-%05d", root, i/100)
		if i%100 > 0 {
			path += fmt.Sprintf("/node-%02d", i%100)
		}
		last = async.Create(ctx, path, data)
	}
	_, err := last.Wait(ctx)
	return err
}

// walk is how a program of go-zookeeper's reads a tree.
func walk(c *peer.Conn, path string) (n int, err error) {
	if _, _, err := c.Get(path); err != nil {
		return 0, err
	}
	names, _, err := c.Children(path)
	if err != nil {
		return 0, err
	}
	n = 1
	for _, name := range names {
		below, err := walk(c, path+"/"+name)
		if err != nil {
			return 0, err
		}
		n += below
	}
	return n, nil
}

// load fills a cache and weighs it: how much the heap has grown, less the data and the names, for each znode.
func load(ctx context.Context, zk *gazoo.Client, nodes int) (took time.Duration, perNode int64, err error) {
	before := heap()
	begin := time.Now()
	c, err := cache.New(zk, root, cache.Bytes())
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if err := c.WaitSynced(ctx); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	if c.Len() != nodes+1 {
		return 0, 0, fmt.Errorf("the cache holds %d znodes, not %d", c.Len(), nodes+1)
	}
	grown := heap() - before
	var content int64
	for n := range c.All() {
		content += int64(len(gazoo.BaseName(n.Path)) + len(n.Value))
	}
	runtime.KeepAlive(c)
	return took, (grown - content) / int64(nodes+1), nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
