package real

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// Sample is what all worker processes use together, and what the servers hold for all clients.
type Sample struct {
	Usage
	Connections int
	Watches     int
	Ephemerals  int // as the leader counts them
	Znodes      int
}

// Sample takes a sample of the run under way. It fails while a process is paused or a server does not serve.
func (w *World) Sample(ctx context.Context, number int) (s Sample, err error) {
	c := w.current()
	if c == nil {
		return s, errors.New("nothing runs")
	}
	s.Number = number
	for i, slot := range c.slots {
		u, err := slot.process().sample(ctx, number)
		if err != nil {
			return s, fmt.Errorf("worker process %d: %w", i, err)
		}
		s.Heap += u.Heap
		s.Goroutines += u.Goroutines
		s.Files += u.Files
		s.Sockets += u.Sockets
	}
	for i := range w.ensemble.Len() {
		values, err := monitor(w.ensemble.Server(i).Addr())
		if err != nil {
			return s, err
		}
		s.Connections += values["zk_num_alive_connections"]
		s.Watches += values["zk_watch_count"]
		s.Ephemerals = max(s.Ephemerals, values["zk_ephemerals_count"])
		s.Znodes = max(s.Znodes, values["zk_znode_count"])
	}
	return s, nil
}

// monitor returns the whole numbers of a server's answer to mntr.
func monitor(addr string) (map[string]int, error) {
	text, err := ensemble.FourLetter(addr, "mntr")
	if err != nil {
		return nil, err
	}
	values := map[string]int{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if n, err := strconv.Atoi(value); err == nil {
			values[key] = n
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s serves no figures: %s", addr, strings.TrimSpace(text))
	}
	return values, nil
}
