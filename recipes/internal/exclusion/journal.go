package main

import (
	"context"
	"errors"
	"slices"
	"sync"
)

var errEnded = errors.New("a worker process has ended")

// journal collects the events of all processes. Events of one process are in its order; those of different ones are in
// the order in which they were read.
type journal struct {
	mu      sync.Mutex
	events  []event
	ended   bool
	changed chan struct{} // closed and replaced with each event
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

func (j *journal) add(e event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
	j.wake()
}

// end says that one of the processes reports no more.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.wake()
}

func (j *journal) wake() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// len returns the number of events so far.
func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.events)
}

// since returns the events from an index on.
func (j *journal) since(from int) []event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events[from:len(j.events):len(j.events)]
}

// last returns the newest event of a kind; the zero event when there is none.
func (j *journal) last(kind string) event {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range slices.Backward(j.events) {
		if e.Kind == kind {
			return e
		}
	}
	return event{}
}

// wait returns the first event from an index on that matches, and the index behind it.
func (j *journal) wait(ctx context.Context, from int, match func(event) bool) (event, int, error) {
	for {
		j.mu.Lock()
		events, ended, changed := j.events, j.ended, j.changed
		j.mu.Unlock()
		for ; from < len(events); from++ {
			if match(events[from]) {
				return events[from], from + 1, nil
			}
		}
		if ended {
			return event{}, from, errEnded
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return event{}, from, ctx.Err()
		}
	}
}
