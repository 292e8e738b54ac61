package real

import (
	"time"

	"github.com/gazoo-zk/gazoo/robustness/history"
)

// assignment is the first line that a worker process reads: what it is for.
type assignment struct {
	Root    string        `json:"root"`
	Seed    uint64        `json:"seed"`
	Session time.Duration `json:"session"`
	Run     int           `json:"run"`    // how many processes had the same clients before
	Direct  string        `json:"direct"` // connect string beside all proxies
	Clients []seat        `json:"clients"`
}

// seat is one client of a worker process.
type seat struct {
	Number  int    `json:"n"`       // among the clients of all programs
	Program string `json:"program"` // what it runs
	Client  int    `json:"client"`  // among the clients of its program
	Hosts   string `json:"hosts"`   // connect string, by way of its own proxies
}

// What a worker process is told to do behind that, one line each.
const (
	doStop   = "stop"   // the clients are to let go and return
	doExpire = "expire" // the sessions of one of them are to end
	doSample = "sample" // tell what the process uses
)

type order struct {
	Do     string `json:"do"`
	Client int    `json:"client,omitempty"`
	Number int    `json:"number,omitempty"` // of the sample
}

// report is a line that a worker process writes: one of these.
type report struct {
	Op       *history.Op `json:"op,omitempty"`
	Problem  string      `json:"problem,omitempty"` // a program returned an error
	Finished bool        `json:"finished,omitempty"`
	Usage    *Usage      `json:"usage,omitempty"`
}

// Usage is what one process uses, or all worker processes together.
type Usage struct {
	Number     int    `json:"number"` // of the order
	Heap       uint64 `json:"heap"`   // bytes in use behind a collection
	Goroutines int    `json:"goroutines"`
	Files      int    `json:"files"`
	Sockets    int    `json:"sockets"`
}
