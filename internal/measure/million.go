package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/measure/datadir"
)

// million finds the smallest heap with which Apache's server loads a tree, and the most memory that ours takes for the
// same from start to its first answers.
func million(ctx context.Context, s settings) error {
	seed := filepath.Join(s.dir, "seed")
	if err := datadir.Make(seed, s.znodes); err != nil {
		return err
	}
	bin, err := build(ctx, s.dir)
	if err != nil {
		return err
	}
	mine, err := loadOurs(ctx, s, bin, seed)
	if err != nil {
		return err
	}
	fmt.Printf("ours: %d MiB at most\n", mine)
	low := s.znodes * datadir.Size >> 20 // MiB that cannot do
	high := max(16, 2*low)
	for {
		ok, err := loadApache(ctx, s, seed, high)
		if err != nil {
			return err
		}
		if ok {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 4 {
		heap := (low + high) / 2
		ok, err := loadApache(ctx, s, seed, heap)
		if err != nil {
			return err
		}
		if ok {
			high = heap
		} else {
			low = heap
		}
	}
	fmt.Printf("million: znodes=%d ours_mib=%d apache_xmx_mib=%d percent=%d\n", s.znodes, mine, high, 100*mine/high)
	return nil
}

// check reads the last znode and makes one more.
func check(ctx context.Context, servers string, znodes int) error {
	zk, err := gazoo.Connect(ctx, servers, gazoo.WithFailFast())
	if err != nil {
		return err
	}
	defer zk.Close()
	last := datadir.Path(znodes - 1)
	data, _, err := zk.Get(ctx, last)
	if err == nil && len(data) != datadir.Size {
		err = fmt.Errorf("%d bytes in %s", len(data), last)
	}
	if err != nil {
		return err
	}
	_, err = zk.Create(ctx, "/check", nil)
	return err
}

// loadOurs returns the most memory, in MiB, that gazoo serve took to load a directory and to answer.
func loadOurs(ctx context.Context, s settings, bin, seed string) (mib int, err error) {
	dir := filepath.Join(s.dir, "ours")
	if err := os.CopyFS(dir, os.DirFS(seed)); err != nil {
		return 0, err
	}
	srv, err := serve(bin, "--dir", dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	if err := check(ctx, srv.addr, s.znodes); err != nil {
		return 0, err
	}
	return memory(srv.cmd.Process.Pid, "VmHWM")
}

// loadApache reports whether Apache's server can load a directory and answer with so many MiB of heap.
func loadApache(ctx context.Context, s settings, seed string, heap int) (bool, error) {
	dir := filepath.Join(s.dir, "apache")
	if err := os.RemoveAll(dir); err != nil {
		return false, err
	}
	if err := os.CopyFS(filepath.Join(dir, "server-1", "data"), os.DirFS(seed)); err != nil {
		return false, err
	}
	e, err := apache(dir, fmt.Sprintf("%dm", heap), 30*time.Second)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		err = check(ctx, e.Hosts(), s.znodes)
		cancel()
		err = errors.Join(err, e.Close())
	}
	fmt.Printf("apache: -Xmx%dm: %s\n", heap, map[bool]string{true: "loads", false: "does not load"}[err == nil])
	return err == nil, ctx.Err()
}
