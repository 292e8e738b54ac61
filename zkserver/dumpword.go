package zkserver

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// This file has the four-letter word dump: sessions and connections by when they end.

// bucket is what ends at one time: sessions, or connections.
type bucket struct {
	at    int64 // milliseconds since the server began
	ids   []int64
	conns []*conn
}

// sessionBuckets returns the sessions by the times at which they end.
func (e *engine) sessionBuckets() []bucket {
	var all []bucket
	t := &e.sessions
	for _, at := range slices.Sorted(maps.Keys(t.buckets)) {
		b := bucket{at: at}
		for s := range t.buckets[at] {
			b.ids = append(b.ids, s.id)
		}
		slices.Sort(b.ids)
		all = append(all, b)
	}
	return all
}

// connGrid is the grid on which Apache looks for silent connections.
const connGrid = 10 * time.Second

// connBuckets returns the connections by the times at which silence would end them.
func (e *engine) connBuckets() []bucket {
	byTime := make(map[int64][]*conn)
	for _, c := range e.conns() {
		heard, patience := c.since, connGrid
		if s := c.session; s != nil {
			patience = time.Duration(s.timeout) * time.Millisecond
			if !c.stats.response.IsZero() {
				heard = c.stats.response
			}
		}
		end := heard.Add(patience).Sub(e.sessions.base)
		at := int64(end/connGrid+1) * connGrid.Milliseconds()
		byTime[at] = append(byTime[at], c)
	}
	var all []bucket
	for _, at := range slices.Sorted(maps.Keys(byTime)) {
		all = append(all, bucket{at: at, conns: byTime[at]})
	}
	return all
}

func (e *engine) dump(w io.Writer) {
	when := func(at int64) string {
		return e.sessions.base.Add(time.Duration(at) * time.Millisecond).UTC().Format(dumpTime)
	}
	fmt.Fprintf(w, "SessionTracker dump:\nSession Sets (%d)/(%d):\n", len(e.sessions.buckets), len(e.sessions.byID))
	for _, b := range e.sessionBuckets() {
		fmt.Fprintf(w, "%d expire at %s:\n", len(b.ids), when(b.at))
		for _, id := range b.ids {
			fmt.Fprintf(w, "\t0x%x\n", uint64(id))
		}
	}
	var owners []SessionInfo
	for _, s := range e.sessionInfos() {
		if len(s.Ephemerals) > 0 {
			owners = append(owners, s)
		}
	}
	fmt.Fprintf(w, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", len(owners))
	for _, s := range owners {
		fmt.Fprintf(w, "0x%x:\n", uint64(s.ID))
		for _, p := range s.Ephemerals {
			fmt.Fprintf(w, "\t%s\n", p)
		}
	}
	buckets := e.connBuckets()
	fmt.Fprintf(w, "Connections dump:\nConnections Sets (%d)/(%d):\n", len(buckets), len(e.conns()))
	for _, b := range buckets {
		fmt.Fprintf(w, "%d expire at %s:\n", len(b.conns), when(b.at))
		for _, c := range b.conns {
			fmt.Fprintf(w, "\tip: /%s sessionId: 0x%x\n", c.nc.RemoteAddr(), uint64(c.sessionID()))
		}
	}
}
