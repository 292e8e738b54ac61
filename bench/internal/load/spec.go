// Package load is what the load programs in Go have in common: flags, the measurement, and the report. Those in other
// languages have the same flags and print the same JSON.
//
// A program opens its connections, makes workers, and lets them run through a warm-up. Then a window of -duration is
// measured while the workers go on: what is counted is what ended within it, and processor time, allocations and
// latencies are differences between its two ends. So neither connecting nor the first use of anything counts.
package load

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"
)

// Operations of the flag -op.
const (
	Get       = "get"
	Set       = "set"
	Exists    = "exists"
	Create    = "create"
	Children  = "children"
	Multi     = "multi"     // a transaction of -names creates
	Watch     = "watch"     // -names watches are set, then all fired; an operation is an event
	Connect   = "connect"   // a session is opened and closed
	Reconnect = "reconnect" // the connection is cut under -names watches; the canned server only
	Fanout    = "fanout"    // -names connections watch one znode, which is set; an operation is an event; raw only
	Sessions  = "sessions"  // -names sessions are opened, and then closed; an operation is a session opened; raw only
)

// Modes of the flag -mode.
const (
	Sync      = "sync"      // -goroutines callers of blocking calls
	Pipelined = "pipelined" // -inflight asynchronous calls
	Into      = "into"      // as sync, into the caller's buffer
	// PipelinedInto is both: asynchronous, each call into a buffer of its own.
	PipelinedInto = "pipelined-into"
)

// Spec is a load.
type Spec struct {
	Hosts      string
	Op         string
	Mode       string
	Size       int // bytes of data
	Names      int // children of a listing, creates of a transaction, watched paths
	InFlight   int // asynchronous calls on each connection
	Goroutines int // callers on each connection
	Conns      int
	Sample     int // one latency of so many is taken
	Unique     bool
	Duration   time.Duration
	Warmup     time.Duration
	JSON       bool
	CPUProfile string
}

// AddTo defines the flags.
func (s *Spec) AddTo(fs *flag.FlagSet) {
	fs.StringVar(&s.Hosts, "hosts", "127.0.0.1:2181", "servers to connect to")
	fs.StringVar(&s.Op, "op", Get, "get, set, exists, create, children, multi, watch, connect, reconnect, fanout or sessions")
	fs.StringVar(&s.Mode, "mode", Sync, "sync, pipelined, into (get into the caller's buffer) or pipelined-into")
	fs.IntVar(&s.Size, "size", 100, "bytes of data")
	fs.IntVar(&s.Names, "names", 100, "children of a listing, creates of a multi, watched paths")
	fs.IntVar(&s.InFlight, "inflight", 1, "asynchronous calls in flight on each connection")
	fs.IntVar(&s.Goroutines, "goroutines", 1, "callers of blocking calls on each connection")
	fs.IntVar(&s.Conns, "conns", 1, "connections")
	fs.IntVar(&s.Sample, "sample", 0, "take one latency of so many; 0 is 17 for small operations and 1 for large ones")
	fs.BoolVar(&s.Unique, "unique", false, "creates are sequential, for a server with a tree")
	fs.DurationVar(&s.Duration, "duration", 2*time.Second, "measured time")
	fs.DurationVar(&s.Warmup, "warmup", 500*time.Millisecond, "time before that")
	fs.BoolVar(&s.JSON, "json", false, "print JSON")
	fs.StringVar(&s.CPUProfile, "cpuprofile", "", "file for a CPU profile of the measured time")
}

var (
	ops   = []string{Get, Set, Exists, Create, Children, Multi, Watch, Connect, Reconnect, Fanout, Sessions}
	modes = []string{Sync, Pipelined, Into, PipelinedInto}
)

// check validates the load and fills in what was left open.
func (s *Spec) check() error {
	switch {
	case !slices.Contains(ops, s.Op):
		return fmt.Errorf("-op %s: not one of %v", s.Op, ops)
	case !slices.Contains(modes, s.Mode):
		return fmt.Errorf("-mode %s: not one of %v", s.Mode, modes)
	case s.Into() && s.Op != Get:
		return fmt.Errorf("-mode %s goes with -op get", s.Mode)
	case min(s.InFlight, s.Goroutines, s.Conns) < 1:
		return errors.New("-inflight, -goroutines and -conns must be positive")
	case min(s.Size, s.Names, s.Sample) < 0:
		return errors.New("-size, -names and -sample must not be negative")
	case s.Duration <= 0 || s.Warmup < 0:
		return errors.New("-duration must be positive, -warmup not negative")
	}
	if s.Sample == 0 {
		s.Sample = 1
		small := s.Op == Get || s.Op == Set || s.Op == Exists || s.Op == Create
		if small && s.Size < 10_000 {
			// A prime, so that it does not fall into step with batches, whose sizes are powers of two.
			s.Sample = 17
		}
	}
	return nil
}

// Into reports whether gets go into a buffer of the caller's.
func (s *Spec) Into() bool { return s.Mode == Into || s.Mode == PipelinedInto }

// Async reports whether calls are asynchronous.
func (s *Spec) Async() bool { return s.Mode == Pipelined || s.Mode == PipelinedInto }

// Callers is how many calls are to be in flight on a connection, for clients that have one way only.
func (s *Spec) Callers() int { return max(s.Goroutines, s.InFlight) }

// Paths that the loads use. A server with a tree has to be given them first: see package seed.
const Root = "/bench"

// Path returns the znode that the operation concerns. The number at its end tells the canned server how large the
// reply is to be.
func (s *Spec) Path() string {
	switch s.Op {
	case Children:
		return fmt.Sprintf("%s/children-%d", Root, s.Names)
	case Create:
		return Root + "/create/n-"
	}
	return fmt.Sprintf("%s/get-%d", Root, s.Size)
}

// MultiPath returns the path of the create with number i in a transaction.
func (s *Spec) MultiPath(i int) string { return fmt.Sprintf("%s/create/m-%04d", Root, i) }

// WatchedPath returns one of the paths that are watched.
func (s *Spec) WatchedPath(i int) string { return fmt.Sprintf("%s/watched/w%07d-0", Root, i) }

// Data returns the data to write.
func (s *Spec) Data() []byte { return make([]byte, s.Size) }
