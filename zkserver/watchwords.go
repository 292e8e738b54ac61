package zkserver

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// This file has the four-letter words about watches: they count the data watches alone.

// watchCounts are the numbers of the data watches.
type watchCounts struct{ conns, paths, total int }

func (e *engine) watchSummary() watchCounts {
	var n watchCounts
	paths := make(map[string]struct{})
	for _, c := range e.conns() {
		watched := e.dataWatches(c)
		if len(watched) > 0 {
			n.conns++
		}
		n.total += len(watched)
		for _, p := range watched {
			paths[p] = struct{}{}
		}
	}
	n.paths = len(paths)
	return n
}

func (e *engine) wchs(w io.Writer) {
	n := e.watchSummary()
	fmt.Fprintf(w, "%d connections watching %d paths\nTotal watches:%d\n", n.conns, n.paths, n.total)
}

func (e *engine) wchc(w io.Writer) {
	for _, c := range e.conns() {
		watched := e.dataWatches(c)
		if len(watched) == 0 {
			continue
		}
		fmt.Fprintf(w, "0x%x\n", uint64(c.sessionID()))
		for _, p := range watched {
			fmt.Fprintf(w, "\t%s\n", p)
		}
	}
	io.WriteString(w, "\n")
}

// watchersByPath returns the sessions with a data watch on each path.
func (e *engine) watchersByPath() map[string][]int64 {
	byPath := make(map[string][]int64)
	for _, c := range e.conns() {
		for _, p := range e.dataWatches(c) {
			byPath[p] = append(byPath[p], c.sessionID())
		}
	}
	return byPath
}

func (e *engine) wchp(w io.Writer) {
	byPath := e.watchersByPath()
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		fmt.Fprintln(w, p)
		for _, id := range byPath[p] {
			fmt.Fprintf(w, "\t0x%x\n", uint64(id))
		}
	}
	io.WriteString(w, "\n")
}

// dataWatches returns the paths on which a connection has a data watch, sorted.
func (e *engine) dataWatches(c *conn) []string {
	var paths []string
	for p, bits := range c.watched {
		if bits&dataTable != 0 {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}
