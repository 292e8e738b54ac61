// Package compare holds the loads that clients and servers are compared with, what is required of them, and the
// arithmetic: medians of interleaved rounds, and ratios of medians.
package compare

import (
	"fmt"
	"slices"
)

// Servers of a subject.
const (
	Canned       = "canned"        // prepared replies
	Apache       = "apache"        // ZooKeeper without syncs to disk
	ApacheDisk   = "apache-disk"   // every transaction synced
	Embedded     = "embedded"      // gazoo serve in memory
	EmbeddedDisk = "embedded-disk" // every transaction synced
	EmbeddedNew  = "embedded-new"  // gazoo serve in memory, another one for each turn
	None         = ""              // the program starts its own
)

// Programs of a subject.
const (
	Gazoo = "gazoo"
	Gozk  = "gozk"
	Raw   = "raw"
	Java  = "java"
	C     = "c"
	Kazoo = "kazoo"
	Store = "store" // starts gazoo serve on many znodes
)

// Load is what several subjects do by turns.
type Load struct {
	Name     string
	Title    string
	Flags    []string // of every program
	Subjects []Subject
	Require  []Requirement
}

// Subject is a program with a server, one of which is measured.
type Subject struct {
	Name    string
	Program string
	Server  string
	Flags   []string // beside the load's
}

// Only returns the load with no more than the named subjects, and what is required of these.
func (l Load) Only(subjects []string) Load {
	l.Subjects = slices.DeleteFunc(slices.Clone(l.Subjects), func(s Subject) bool {
		return !slices.Contains(subjects, s.Name)
	})
	l.Require = slices.DeleteFunc(slices.Clone(l.Require), func(r Requirement) bool {
		alone := r.Than == "" || r.Than == Best
		return !slices.Contains(subjects, r.Of) || !alone && !slices.Contains(subjects, r.Than)
	})
	return l
}

// Requirement is a figure that a subject must have: a ratio to another subject's, or a number by itself.
type Requirement struct {
	Metric  string
	Of      string
	Than    string  // a subject, Best for the best of those that are not Of's program or the replay, or "" for a number
	AtLeast float64 // 0 is no bound
	AtMost  float64 // negative is no bound
	Overlap bool    // it is enough that the ranges from minimum to maximum overlap
	Disk    float64 // it is enough to reach this share of what the disk allows: what is in flight / the time of a sync
	Or      float64 // that share as a number, once it is measured; 0 is none
}

// Best is the best peer in a requirement.
const Best = "best peer"

// Metrics. Others are names of extra figures.
const (
	Rate   = "ops/s"
	P99    = "p99"
	CPU    = "cpu"
	Allocs = "allocs"
)

func atLeast(metric, of, than string, bound float64) Requirement {
	return Requirement{Metric: metric, Of: of, Than: than, AtLeast: bound, AtMost: -1}
}

func atMost(metric, of, than string, bound float64) Requirement {
	return Requirement{Metric: metric, Of: of, Than: than, AtMost: bound}
}

// clients are every client on one server: those with blocking calls only have goroutines for what is in flight.
func clients(server string, inFlight int) []Subject {
	n := fmt.Sprint(inFlight)
	return []Subject{
		{Name: Gazoo, Program: Gazoo, Server: server, Flags: []string{"-goroutines", n}},
		{Name: Gozk, Program: Gozk, Server: server, Flags: []string{"-goroutines", n}},
		{Name: Raw, Program: Raw, Server: server, Flags: []string{"-inflight", n}},
		{Name: Java, Program: Java, Server: server, Flags: []string{"-inflight", n}},
		{Name: C, Program: C, Server: server, Flags: []string{"-inflight", n}},
		{Name: Kazoo, Program: Kazoo, Server: server, Flags: []string{"-inflight", n}},
	}
}

// with adds this project's client in another mode.
func with(subjects []Subject, name, mode string, inFlight int) []Subject {
	n := fmt.Sprint(inFlight)
	return append(subjects, Subject{
		Name: name, Program: Gazoo, Server: subjects[0].Server,
		Flags: []string{"-mode", mode, "-inflight", n, "-goroutines", n},
	})
}

// Names of this project's client in other modes.
const (
	gazooPipelined = "gazoo pipelined"
	gazooInto      = "gazoo into"
)

// Clients are the loads on clients.
func Clients() []Load {
	loads := []Load{
		{
			Name: "get-256", Title: "get 100 B, 256 in flight, blocking calls", Flags: flags("get", "-size", "100"),
			Subjects: clients(Canned, 256),
			Require: []Requirement{
				atLeast(Rate, Gazoo, Gozk, 15), atMost(P99, Gazoo, Gozk, 1.0/8), atMost(CPU, Gazoo, Gozk, 1.0/15),
				atMost(Allocs, Gazoo, "", 1),
			},
		},
		{
			Name: "get-pipelined", Title: "get 100 B, 256 in flight, pipelined", Flags: flags("get", "-size", "100"),
			Subjects: with(with(clients(Canned, 256), gazooPipelined, "pipelined", 256), gazooInto, "pipelined-into", 256)[1:],
			Require: []Requirement{
				atLeast(Rate, gazooPipelined, Gozk, 40), atLeast(Rate, gazooInto, Gozk, 40),
				atMost(Allocs, gazooPipelined, "", 1), atMost(Allocs, gazooInto, "", 0), atMost(CPU, gazooInto, Raw, 3),
			},
		},
		{
			Name: "get-1", Title: "get 100 B, one at a time", Flags: flags("get", "-size", "100"),
			Subjects: clients(Canned, 1),
			Require:  []Requirement{atLeast(Rate, Gazoo, Gozk, 1.7), atMost(CPU, Gazoo, Gozk, 0.6)},
		},
		{
			Name: "get-16", Title: "get 100 B, 16 in flight", Flags: flags("get", "-size", "100"),
			Subjects: clients(Canned, 16),
			Require:  []Requirement{atLeast(Rate, Gazoo, Gozk, 3.5), atMost(CPU, Gazoo, Gozk, 0.3)},
		},
	}
	for _, op := range []struct {
		name   string
		allocs float64
	}{{"set", 0}, {"create", 1}, {"exists", 0}} {
		loads = append(loads, Load{
			Name: op.name + "-256", Title: op.name + " 100 B, 256 in flight", Flags: flags(op.name, "-size", "100"),
			Subjects: clients(Canned, 256),
			Require:  []Requirement{atLeast(Rate, Gazoo, Gozk, 18), atMost(Allocs, Gazoo, "", op.allocs)},
		})
	}
	return append(loads,
		Load{
			Name: "get-512k", Title: "get 512 KiB, 8 in flight", Flags: flags("get", "-size", "524288"),
			Subjects: with(clients(Canned, 8), gazooInto, "into", 8),
			Require: []Requirement{
				atLeast(Rate, gazooInto, Gozk, 3), atLeast(Rate, gazooInto, Java, 1), atLeast(Rate, Gazoo, Gozk, 1),
			},
		},
		Load{
			Name: "children-10k", Title: "children, 10,000 names, 8 in flight", Flags: flags("children", "-names", "10000"),
			Subjects: clients(Canned, 8),
			Require: []Requirement{
				atLeast(Rate, Gazoo, Gozk, 1.6), atMost(CPU, Gazoo, Gozk, 0.55), atMost(Allocs, Gazoo, "", 5),
			},
		},
		Load{
			Name: "multi-100", Title: "multi of 100 creates, 8 in flight", Flags: flags("multi", "-names", "100", "-size", "100"),
			Subjects: clients(Canned, 8),
			Require:  []Requirement{atLeast(Rate, Gazoo, Gozk, 4), atLeast(Rate, Gazoo, Best, 3)},
		},
		Load{
			Name: "watch-10k", Title: "10,000 watches, all fired: events", Flags: flags("watch", "-names", "10000"),
			Subjects: clients(Canned, 1),
			Require:  []Requirement{atLeast(Rate, Gazoo, Gozk, 8)},
		},
		Load{
			Name: "connect", Title: "connect and close, one after another", Flags: flags("connect"),
			Subjects: clients(Canned, 1),
			Require:  []Requirement{atLeast(Rate, Gazoo, Gozk, 4), atLeast(Rate, Gazoo, C, 1)},
		},
		Load{
			Name: "reconnect-10k", Title: "reconnect with 10,000 watches", Flags: flags("reconnect", "-names", "10000"),
			Subjects: clients(Canned, 1),
			Require:  []Requirement{atMost("registered_ms", Gazoo, "", 25)},
		},
		Load{
			Name: "reconnect-100k", Title: "reconnect with 100,000 watches", Flags: flags("reconnect", "-names", "100000"),
			Subjects: clients(Canned, 1),
			Require:  []Requirement{atMost("registered_ms", Gazoo, "", 400)},
		},
		Load{
			Name: "apache-get-256", Title: "get 100 B, 256 in flight, on Apache", Flags: flags("get", "-size", "100"),
			Subjects: with(clients(Apache, 256), gazooPipelined, "pipelined", 256),
			Require: []Requirement{
				atMost(CPU, Gazoo, Gozk, 0.70), atLeast(Rate, Gazoo, Gozk, 1.15),
				{Metric: Rate, Of: Gazoo, Than: Best, AtLeast: 1, AtMost: -1, Overlap: true},
			},
		},
	)
}

func flags(op string, more ...string) []string { return append([]string{"-op", op}, more...) }

// servers are a server of each kind under the same client, the replay, which costs least.
func servers(apache, ours string, flags ...string) []Subject {
	return []Subject{
		{Name: ours, Program: Raw, Server: ours, Flags: flags},
		{Name: apache, Program: Raw, Server: apache, Flags: flags},
	}
}

// Servers are the loads on servers.
func Servers() []Load {
	million := znodes("server-million", 1_000_000)
	million.Require = []Requirement{atMost("server_mib", EmbeddedDisk, "", 400e6/(1<<20))}
	return []Load{
		{
			Name: "server-get-8x32", Title: "get 100 B, 8 connections with 32 in flight", Flags: flags("get", "-size", "100"),
			Subjects: servers(Apache, Embedded, "-conns", "8", "-inflight", "32"),
			Require:  []Requirement{atLeast(Rate, Embedded, Apache, 10)},
		},
		{
			Name: "server-get-1x256", Title: "get 100 B, one connection with 256 in flight", Flags: flags("get", "-size", "100"),
			Subjects: servers(Apache, Embedded, "-inflight", "256"),
			Require:  []Requirement{atLeast(Rate, Embedded, Apache, 10)},
		},
		{
			Name: "server-create-disk", Title: "create 100 B, synced to disk, 8 connections with 32 in flight",
			Flags:    flags("create", "-size", "100", "-unique"),
			Subjects: servers(ApacheDisk, EmbeddedDisk, "-conns", "8", "-inflight", "32"),
			Require: []Requirement{
				{Metric: Rate, Of: EmbeddedDisk, Than: ApacheDisk, AtLeast: 4, AtMost: -1, Disk: 0.8},
			},
		},
		{
			Name: "server-create-memory", Title: "create 100 B, not synced, 8 connections with 32 in flight",
			Flags:    flags("create", "-size", "100", "-unique"),
			Subjects: servers(Apache, Embedded, "-conns", "8", "-inflight", "32"),
			Require:  []Requirement{atLeast(Rate, Embedded, Apache, 8)},
		},
		{
			Name: "server-fanout", Title: "one change, 10,000 connections that watch it: events",
			Flags:    flags("fanout", "-names", "10000"),
			Subjects: servers(Apache, Embedded),
			Require:  []Requirement{atLeast(Rate, Embedded, Apache, 5)},
		},
		million,
	}
}

// Curves are the loads that show how costs grow. Nothing is required of them here.
func Curves() []Load {
	three := func(inFlight int) []Subject { return clients(Canned, inFlight)[:3] }
	var loads []Load
	for _, n := range []int{1, 4, 16, 64, 256, 1024, 4096, 16384} {
		loads = append(loads, Load{
			Name: fmt.Sprintf("curve-inflight-%d", n), Title: fmt.Sprintf("get 100 B, %d in flight, pipelined", n),
			Flags: flags("get", "-size", "100"), Subjects: with(three(n)[1:], gazooPipelined, "pipelined", n),
		})
	}
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		loads = append(loads, Load{
			Name: fmt.Sprintf("curve-goroutines-%d", n), Title: fmt.Sprintf("get 100 B, %d goroutines", n),
			Flags: flags("get", "-size", "100"), Subjects: three(n),
		})
	}
	for _, n := range []int{0, 100, 1000, 10_000, 100_000, 1_000_000} {
		loads = append(loads, Load{
			Name: fmt.Sprintf("curve-size-%d", n), Title: fmt.Sprintf("get %d B, 8 in flight", n),
			Flags: flags("get", "-size", fmt.Sprint(n)), Subjects: with(three(8), gazooInto, "into", 8),
		})
	}
	for _, n := range []int{10, 100, 1000, 10_000, 100_000, 1_000_000} {
		loads = append(loads, Load{
			Name: fmt.Sprintf("curve-children-%d", n), Title: fmt.Sprintf("children, %d names, one at a time", n),
			Flags: flags("children", "-names", fmt.Sprint(n)), Subjects: three(1),
		})
	}
	for _, n := range []int{1, 10, 100, 1000, 10_000, 100_000, 1_000_000} {
		loads = append(loads, Load{
			Name: fmt.Sprintf("curve-watches-%d", n), Title: fmt.Sprintf("%d watches, all fired: events", n),
			Flags: flags("watch", "-names", fmt.Sprint(n)), Subjects: three(1),
		})
	}
	for _, n := range []int{1, 10, 100, 1000, 10_000, 20_000} {
		name := fmt.Sprintf("curve-sessions-%d", n)
		n = mostSessions(n)
		loads = append(loads, Load{
			Name: name, Title: fmt.Sprintf("%d sessions opened, 32 at once", n),
			Flags:    flags("sessions", "-names", fmt.Sprint(n)),
			Subjects: []Subject{{Name: Embedded, Program: Raw, Server: EmbeddedNew}},
		})
	}
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000, 3_000_000} {
		loads = append(loads, znodes(fmt.Sprintf("curve-znodes-%d", n), n))
	}
	return loads
}

// znodes is a server that starts on so many. An operation is one of them, read at the start; latencies are those of
// gets while a snapshot is written.
func znodes(name string, n int) Load {
	return Load{
		Name: name, Title: fmt.Sprintf("%d znodes of 100 B on disk: loaded, then a snapshot under sets and gets", n),
		Flags:    flags(Store, "-names", fmt.Sprint(n)),
		Subjects: []Subject{{Name: EmbeddedDisk, Program: Store, Server: None}},
	}
}
