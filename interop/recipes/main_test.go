package recipes

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
)

func TestMain(m *testing.M) {
	peer.Child()
	leak.Main(ensemble.WithShared(reporting{m}))
}

// reporting closes what the tests shared, and prints what they have found.
type reporting struct{ *testing.M }

func (r reporting) Run() int {
	code := r.M.Run()
	if err := closeSites(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if testing.Verbose() {
		found.print()
	}
	return code
}

// outcome is what becomes of a newcomer while somebody holds the lock.
type outcome string

const (
	waits   outcome = "waits"
	walksIn outcome = "walks in"
	fails   outcome = "fails"
	shares  outcome = "shares" // walks in, and may: both are readers
)

// found is what the tests have seen.
var found findings

type findings struct {
	mu      sync.Mutex
	cells   []cell
	formats map[string]bool
}

// cell is one place in the table of who waits for whom.
type cell struct {
	table, target    string
	holder, newcomer string
	ours             bool // one of the two is gazoo
	outcome          outcome
}

func (f *findings) cell(c cell) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cells = append(f.cells, c)
}

// format notes that a format has been read and written by two libraries: "counter: int, Kazoo to gazoo".
func (f *findings) format(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.formats == nil {
		f.formats = make(map[string]bool)
	}
	f.formats[what] = true
}

func (f *findings) print() {
	type key struct{ table, target string }
	var tables []key
	for _, c := range f.cells {
		if k := (key{c.table, c.target}); !slices.Contains(tables, k) {
			tables = append(tables, k)
		}
	}
	for _, k := range tables {
		fmt.Printf("%s on %s, holder in the rows, newcomer in the columns:\n", k.table, k.target)
		printTable(slices.DeleteFunc(slices.Clone(f.cells), func(c cell) bool { return (key{c.table, c.target}) != k }))
	}
	for _, what := range slices.Sorted(maps.Keys(f.formats)) {
		fmt.Println("format:", what)
	}
	count := map[outcome]int{}
	ours := 0
	for _, c := range f.cells {
		count[c.outcome]++
		if c.ours {
			ours++
		}
	}
	fmt.Printf("interop: cells=%d waits=%d walks_in=%d shares=%d fails=%d ours=%d formats=%d\n",
		len(f.cells), count[waits], count[walksIn], count[shares], count[fails], ours, len(f.formats))
}

func printTable(cells []cell) {
	var holders, newcomers []string
	at := make(map[[2]string]outcome)
	for _, c := range cells {
		if !slices.Contains(holders, c.holder) {
			holders = append(holders, c.holder)
		}
		if !slices.Contains(newcomers, c.newcomer) {
			newcomers = append(newcomers, c.newcomer)
		}
		at[[2]string{c.holder, c.newcomer}] = c.outcome
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s", "")
	for _, n := range newcomers {
		fmt.Fprintf(&b, " | %-*s", max(len(n), len(walksIn)), n)
	}
	for _, h := range holders {
		fmt.Fprintf(&b, "\n%-20s", h)
		for _, n := range newcomers {
			fmt.Fprintf(&b, " | %-*s", max(len(n), len(walksIn)), at[[2]string{h, n}])
		}
	}
	fmt.Println(b.String())
}
