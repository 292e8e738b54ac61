package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// throughput puts the same loads on Apache's server and on ours by turns, and compares the medians. Both write every
// transaction to the same disk and sync it.
func throughput(ctx context.Context, s settings) (err error) {
	if err := realDisk(s.dir); err != nil {
		return err
	}
	bin, err := build(ctx, s.dir)
	if err != nil {
		return err
	}
	theirs, err := apache(filepath.Join(s.dir, "apache"), "2g", time.Minute)
	if err != nil {
		return err
	}
	defer theirs.Close()
	own, err := serve(bin, "--dir", filepath.Join(s.dir, "ours"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.stop()) }()
	servers := []struct{ name, addr string }{{"apache", theirs.Hosts()}, {"ours", own.addr}}
	for _, srv := range servers {
		if err := prepare(ctx, srv.addr); err != nil {
			return err
		}
	}
	results := make(map[string][]result)
	for round := range s.rounds + 1 { // the first one warms up
		for _, l := range []load{getLoad(), createLoad(round)} {
			for _, srv := range servers {
				r, err := l.run(ctx, srv.addr, round, s.length)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", l.name, srv.name, err)
				}
				if round == 0 {
					continue
				}
				fmt.Printf("round %d: %s %s: %v\n", round, l.name, srv.name, r)
				results[l.name+srv.name] = append(results[l.name+srv.name], r)
			}
		}
	}
	fmt.Print("throughput:")
	for _, name := range []string{"get", "create"} {
		a, o := results[name+"apache"], results[name+"ours"]
		rate := func(r result) int { return r.perSecond }
		p99 := func(r result) int { return int(r.p99.Microseconds()) }
		fmt.Printf(" %[1]s_apache=%[2]d %[1]s_ours=%[3]d %[1]s_percent=%[4]d %[1]s_p99_apache_us=%[5]d %[1]s_p99_ours_us=%[6]d",
			name, median(a, rate), median(o, rate), 100*median(o, rate)/median(a, rate), median(a, p99), median(o, p99))
	}
	fmt.Println()
	return nil
}

// prepare makes the znode that is read.
func prepare(ctx context.Context, servers string) error {
	zk, err := gazoo.Connect(ctx, servers)
	if err != nil {
		return err
	}
	defer zk.Close()
	_, err = zk.Create(ctx, "/measure", data100)
	return err
}

func median[T any, N cmp.Ordered](all []T, of func(T) N) N {
	numbers := make([]N, 0, len(all))
	for _, x := range all {
		numbers = append(numbers, of(x))
	}
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}
