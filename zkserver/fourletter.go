package zkserver

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// words are the four-letter words: each writes its answer. They run on the engine.
var words = map[string]func(*engine, io.Writer){
	"ruok": (*engine).ruok,
	"isro": (*engine).isro,
	"gtmk": (*engine).gtmk,
	"stmk": (*engine).gtmk,
	"srst": (*engine).srst,
	"crst": (*engine).crst,
	"dirs": (*engine).dirs,
	"wchs": (*engine).wchs,
	"wchc": (*engine).wchc,
	"wchp": (*engine).wchp,
	"conf": (*engine).conf,
	"srvr": (*engine).srvr,
	"stat": (*engine).stat,
	"cons": (*engine).cons,
	"dump": (*engine).dump,
	"envi": (*engine).envi,
	"hash": (*engine).hash,
	"mntr": (*engine).mntr,
}

func knownWord(word string) bool { return words[word] != nil }

// greetWord hands a four-letter word to the engine.
func (c *conn) greetWord(word string) bool {
	var mask int64
	if word == "stmk" {
		var b [8]byte
		if _, err := io.ReadFull(c.nc, b[:]); err != nil {
			return false
		}
		mask = int64(binary.BigEndian.Uint64(b[:]))
	}
	return c.srv.in.submit(c, []request{{conn: c, kind: kindWord, word: word, mask: mask}})
}

// word answers a four-letter word and hangs up.
func (e *engine) word(c *conn, r *request) {
	c.stats.received++
	var b strings.Builder
	switch allowed := e.srv.cfg.words; {
	case !slices.Contains(allowed, "*") && !slices.Contains(allowed, r.word):
		fmt.Fprintf(&b, "%s is not executed because it is not in the whitelist.\n", r.word)
	case e.failed && r.word == "isro":
		b.WriteString("null")
	case e.failed && r.word != "ruok" && r.word != "envi":
		b.WriteString("This ZooKeeper instance is not currently serving requests\n")
	default:
		if r.word == "stmk" {
			e.traceMask = r.mask
		}
		words[r.word](e, &b)
	}
	if e.failed {
		// Nothing in it comes from the tree, so it need not wait for what will never be durable.
		c.held = append(c.held, b.String()...)
		c.release(len(c.held), true)
		c.signal()
		return
	}
	c.held = append(c.held, b.String()...)
	e.hangUp(c)
}

func (e *engine) ruok(w io.Writer) { io.WriteString(w, "imok") }

func (e *engine) isro(w io.Writer) {
	if e.readOnly {
		io.WriteString(w, "ro")
		return
	}
	io.WriteString(w, "rw")
}

// The trace mask selects what the original logs. It means nothing here but can be looked at.
func (e *engine) gtmk(w io.Writer) { fmt.Fprint(w, e.traceMask) }

func (e *engine) srst(w io.Writer) {
	e.latency = latency{}
	e.metrics.response = noSizes
	e.srv.stats.received.Store(0)
	e.srv.stats.sent.Store(0)
	io.WriteString(w, "Server stats reset.\n")
}

func (e *engine) crst(w io.Writer) {
	for _, c := range e.conns() {
		c.stats = connStats{cxid: -1}
	}
	io.WriteString(w, "Connection stats reset.\n")
}

func (e *engine) dirs(w io.Writer) {
	fmt.Fprintf(w, "datadir_size: %d\nlogdir_size: %[1]d\n", e.dirSize())
}

// version is what is written in front of everything that tools parse for a version.
func (e *engine) version() string {
	if e.srv.cfg.modern {
		return "3.9.5-gazoo, built on 2026-01-01 00:00 UTC"
	}
	return "3.8.0-gazoo, built on 2022-02-25 08:49 UTC"
}

func (e *engine) mode() string {
	if e.readOnly {
		return "read-only"
	}
	if e.replica != nil {
		return "follower"
	}
	return "standalone"
}

func (e *engine) srvr(w io.Writer) {
	fmt.Fprintf(w, "Zookeeper version: %s\n", e.version())
	e.serverStats(w)
}

func (e *engine) serverStats(w io.Writer) {
	st := &e.srv.stats
	fmt.Fprintf(w, "Latency min/avg/max: %d/%s/%d\n", e.latency.least, e.latency.average(), e.latency.most)
	fmt.Fprintf(w, "Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\nZxid: 0x%x\nMode: %s\n",
		st.received.Load(), st.sent.Load(), e.srv.ConnCount(), e.outstanding(), uint64(e.tree.Zxid()), e.mode())
	fmt.Fprintf(w, "Node count: %d\n", e.tree.Len()+1) // the root has two names there
}

// outstanding is the number of requests inside, without the one that asks.
func (e *engine) outstanding() int { return max(0, e.srv.in.waitingRequests()-1) }

func (e *engine) stat(w io.Writer) {
	fmt.Fprintf(w, "Zookeeper version: %s\nClients:\n", e.version())
	for _, c := range e.conns() {
		fmt.Fprintf(w, "%s(queued=%d,recved=%d,sent=%d)\n", c.label(), e.queued(c), c.stats.received, c.stats.sent)
	}
	io.WriteString(w, "\n")
	e.serverStats(w)
}

// queued is how many requests of a connection are inside. The four-letter word that asks is none.
func (e *engine) queued(c *conn) int {
	n := e.srv.in.outstandingOf(c)
	if c.session == nil {
		return max(0, n-1)
	}
	return n
}

// interest is what a connection waits for, in Apache's bits: 1 is to be read, 4 to be written.
func (c *conn) interest() int {
	bits := 0
	if c.session != nil {
		bits = 1
	}
	if c.pending() > 0 {
		bits |= 4
	}
	return bits
}

// label is the address of a connection and what it waits for.
func (c *conn) label() string { return fmt.Sprintf(" /%s[%x]", c.nc.RemoteAddr(), c.interest()) }

func (s *connStats) lastOp() string { return cmp.Or(s.op, "NA") }

// uptime is the age of the server in milliseconds.
func (e *engine) uptime() int64 { return time.Since(e.srv.started).Milliseconds() }

// responseTime is when the last reply was made, in milliseconds since the server began.
func (e *engine) responseTime(s *connStats) int64 {
	if s.response.IsZero() {
		return 0
	}
	return s.response.Sub(e.srv.started).Milliseconds()
}

func (e *engine) cons(w io.Writer) {
	for _, c := range e.conns() {
		st := &c.stats
		fmt.Fprintf(w, "%s(queued=%d,recved=%d,sent=%d", c.label(), e.queued(c), st.received, st.sent)
		if s := c.session; s != nil {
			fmt.Fprintf(w, ",sid=0x%x,lop=%s,est=%d,to=%d", uint64(s.id), st.lastOp(), c.since.UnixMilli(), s.timeout)
			if st.cxid >= 0 {
				fmt.Fprintf(w, ",lcxid=0x%x", st.cxid)
			}
			fmt.Fprintf(w, ",lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
				uint64(st.zxid), e.responseTime(st), st.last, st.latency.least, st.latency.sum/max(1, st.latency.n), st.latency.most)
		}
		io.WriteString(w, ")\n")
	}
	io.WriteString(w, "\n")
}

const dumpTime = "Mon Jan 02 15:04:05 MST 2006"

// hash lists digests of the tree at earlier zxids.
func (e *engine) hash(w io.Writer) {
	for _, d := range e.digests.entries() {
		fmt.Fprintf(w, "%x: %d\n", d.zxid, d.digest)
	}
}

func (e *engine) mntr(w io.Writer) {
	for _, f := range e.monitor() {
		fmt.Fprintf(w, "zk_%s\t%v\n", f.key, f.value)
	}
}

// conns returns the connections, oldest first.
func (e *engine) conns() []*conn {
	e.srv.mu.Lock()
	all := slices.Collect(maps.Keys(e.srv.conns))
	e.srv.mu.Unlock()
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.num, b.num) })
	return all
}

func (c *conn) sessionID() int64 {
	if c.session == nil {
		return 0
	}
	return c.session.id
}
