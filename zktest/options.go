package zktest

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/gazoo-zk/gazoo/internal/testcert"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// Option is a setting for [Start] and [New].
type Option func(*config)

type config struct {
	loopback  bool
	endpoints int // 0 without the option: the server itself answers
	clock     *Clock
	server    []zkserver.Option
	logSize   int
	seeds     []iter.Seq2[string, []byte]
	authority *testcert.CA // nil without TLS
	err       error
}

// OnLoopback makes the server listen on free ports of the loopback interface, so that any
// program can reach it: see [Server.Addr]. It cannot be used inside a bubble of testing/synctest,
// where real sockets hang. The default is a network in memory, which only [Server.Dial] reaches.
func OnLoopback() Option { return func(c *config) { c.loopback = true } }

// Endpoints makes an ensemble of n endpoints over one tree, each with an address, watches and
// connections of its own. Each sees the history at its own pace: [Endpoint.Lag] and
// [Endpoint.Freeze] hold it back. Behind them, out of reach of every fault, is the leader.
func Endpoints(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.err = fmt.Errorf("zktest: %d endpoints, want at least 1", n)
		}
		c.endpoints = n
	}
}

// WithClock lets sessions, TTLs, containers, lags and [Session.ExpireAfter] follow a clock that
// the test moves. Delays on the network stay on real time.
func WithClock(clock *Clock) Option { return func(c *config) { c.clock = clock } }

// WithServer passes options to the servers underneath, on top of those that suit tests: session
// time-outs from 50ms to 10m on a grid of 10ms, any number of connections, all four-letter
// words, znodes with a TTL, and a look for due ones every 10s.
func WithServer(opts ...zkserver.Option) Option {
	return func(c *config) { c.server = append(c.server, opts...) }
}

// WithLogSize sets how many operations [Server.Log] keeps (default 200); 0 keeps none.
func WithLogSize(n int) Option { return func(c *config) { c.logSize = max(n, 0) } }

// Seed fills the tree before the first connection: data by path. Parents are made where they
// are missing.
func Seed(nodes map[string]string) Option {
	return func(c *config) {
		c.seeds = append(c.seeds, func(yield func(string, []byte) bool) {
			for _, path := range slices.Sorted(maps.Keys(nodes)) {
				if !yield(path, []byte(nodes[path])) {
					return
				}
			}
		})
	}
}

// SeedRandom fills a path of the tree with n znodes of random data of up to size bytes each,
// the same ones for the same seed. Every tenth is the parent of those behind it, so that the
// tree has some depth.
func SeedRandom(path string, seed uint64, n, size int) Option {
	return func(c *config) {
		c.seeds = append(c.seeds, func(yield func(string, []byte) bool) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			parents := []string{path}
			for i := range n {
				p := fmt.Sprintf("%s/n%d", parents[rnd.IntN(len(parents))], i)
				if i%10 == 0 {
					parents = append(parents, p)
				}
				data := make([]byte, rnd.IntN(size+1))
				for j := range data {
					data[j] = byte(rnd.Uint32())
				}
				if !yield(p, data) {
					return
				}
			}
		})
	}
}
