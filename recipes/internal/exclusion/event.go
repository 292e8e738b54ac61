package main

import (
	"time"

	"github.com/gazoo-zk/gazoo/internal/monotonic"
)

// instant is a reading of CLOCK_MONOTONIC in nanoseconds, comparable between the processes of a machine.
type instant int64

// now reads the clock that all processes share.
func now() instant { return instant(monotonic.Now()) }

func (t instant) add(d time.Duration) instant         { return t + instant(d) }
func (t instant) since(earlier instant) time.Duration { return time.Duration(t - earlier) }

// What a worker process reports, one JSON object per line.
const (
	evReady    = "ready"    // the clients of the process have sessions
	evGranted  = "granted"  // Lock returned a handle; At was read behind it
	evAlive    = "alive"    // At was read, then Err returned nil, or the context had not ended
	evEnded    = "ended"    // it was lost, by Err
	evKept     = "kept"     // the holder will hold on, as it was asked to
	evWrite    = "write"    // a write was answered, or failed with Err
	evRelease  = "release"  // Release was called at At and returned at To
	evFate     = "fate"     // what became of the session of a lock that was lost: Expired or not
	evGaveUp   = "gave up"  // a Lock whose context ended at At returned at To
	evProblem  = "problem"  // an error that must not be
	evFinished = "finished" // the contenders of the process have released everything, or given up
)

// event is something that a contender saw.
type event struct {
	Kind      string  `json:"k"`
	Contender int     `json:"c"`
	Hold      int     `json:"h,omitempty"` // which of the contender's holds, from 1
	At        instant `json:"at,omitempty"`
	To        instant `json:"to,omitempty"`
	Token     int64   `json:"token,omitempty"`
	Session   int64   `json:"session,omitempty"`
	Server    string  `json:"server,omitempty"` // address that the holder is connected to
	Long      bool    `json:"long,omitempty"`   // it holds long enough to be caught
	Zxid      int64   `json:"zxid,omitempty"`
	Version   int32   `json:"version,omitempty"` // of the register, behind a write
	Number    int32   `json:"n,omitempty"`       // of the write in the history
	Stale     bool    `json:"stale,omitempty"`   // a write that was tried after the lock was lost
	Expired   bool    `json:"expired,omitempty"`
	Err       string  `json:"err,omitempty"`
}

// holdID names one hold among those of all contenders.
type holdID struct{ contender, hold int }

func (e event) id() holdID { return holdID{e.Contender, e.Hold} }

// What a worker process is told, one JSON object per line.
const (
	doStart = "start" // begin a part: contend for its lock
	doKeep  = "keep"  // a holder is to hold on
	doStop  = "stop"  // end a part: release, give up
)

// order is something that a worker process has to do. The first line of all is its [assignment].
type order struct {
	Do        string        `json:"do"`
	Part      part          `json:"part"`
	Contender int           `json:"c"`
	Hold      int           `json:"h"`
	For       time.Duration `json:"for"`
}

// part is one part of a run: a lock, what is guarded by it, and what is done meanwhile.
type part struct {
	Name       string `json:"name"`
	Partitions bool   `json:"partitions"` // servers are cut off from each other; locks are quorum-verified
}

func (p part) root() string     { return "/" + p.Name }
func (p part) lock() string     { return p.root() + "/lock" }
func (p part) register() string { return p.root() + "/register" }
func (p part) history() string  { return p.root() + "/history" }

// assignment is what a worker process is for.
type assignment struct {
	First   int           `json:"first"` // number of the first contender
	Hosts   []string      `json:"hosts"` // connect string of each contender
	Session time.Duration `json:"session"`
	Seed    uint64        `json:"seed"`
	Plant   string        `json:"plant"`
}

// The mistakes that can be planted.
const (
	plantDeaf       = "deaf"       // goes on for a while when it has lost the lock, and writes without a guard
	plantUnverified = "unverified" // trusts the default mode under partitions
)
