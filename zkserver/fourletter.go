package zkserver

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/user"
	"runtime"
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

func (e *engine) dirs(w io.Writer) { io.WriteString(w, "datadir_size: 0\nlogdir_size: 0\n") }

// wchs counts the data watches.
func (e *engine) wchs(w io.Writer) {
	conns, paths, total := 0, make(map[string]struct{}), 0
	for _, c := range e.conns() {
		watched := e.dataWatches(c)
		if len(watched) > 0 {
			conns++
		}
		total += len(watched)
		for _, p := range watched {
			paths[p] = struct{}{}
		}
	}
	fmt.Fprintf(w, "%d connections watching %d paths\nTotal watches:%d\n", conns, len(paths), total)
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

func (e *engine) wchp(w io.Writer) {
	byPath := make(map[string][]int64)
	for _, c := range e.conns() {
		for _, p := range e.dataWatches(c) {
			byPath[p] = append(byPath[p], c.sessionID())
		}
	}
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

func (e *engine) conf(w io.Writer) {
	cfg := &e.srv.cfg
	_, port, err := net.SplitHostPort(e.srv.Addr())
	if err != nil {
		port = "-1"
	}
	fmt.Fprintf(w, "clientPort=%s\nsecureClientPort=-1\ndataDir=\ndataDirSize=0\ndataLogDir=\ndataLogSize=0\n", port)
	fmt.Fprintf(w, "tickTime=%d\nmaxClientCnxns=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\nclientPortListenBacklog=-1\nserverId=0\n",
		cfg.tick.Milliseconds(), cfg.maxClientConns, cfg.minTimeout.Milliseconds(), cfg.maxTimeout.Milliseconds())
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
		fmt.Fprintf(w, "%s(queued=0,recved=%d,sent=%d)\n", c.label(), c.stats.received, c.stats.sent)
	}
	io.WriteString(w, "\n")
	e.serverStats(w)
}

// label is the address of a connection and what it waits for.
func (c *conn) label() string {
	interest := 1
	if c.session == nil {
		interest = 0
	}
	return fmt.Sprintf(" /%s[%x]", c.nc.RemoteAddr(), interest)
}

func (e *engine) cons(w io.Writer) {
	for _, c := range e.conns() {
		st := &c.stats
		fmt.Fprintf(w, "%s(queued=0,recved=%d,sent=%d", c.label(), st.received, st.sent)
		if s := c.session; s != nil {
			fmt.Fprintf(w, ",sid=0x%x,lop=%s,est=%d,to=%d", uint64(s.id), cmp.Or(st.op, "NA"), c.since.UnixMilli(), s.timeout)
			if st.cxid >= 0 {
				fmt.Fprintf(w, ",lcxid=0x%x", st.cxid)
			}
			response := int64(0)
			if !st.response.IsZero() {
				response = st.response.Sub(e.srv.started).Milliseconds()
			}
			fmt.Fprintf(w, ",lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
				uint64(st.zxid), response, st.last, st.latency.least, st.latency.sum/max(1, st.latency.n), st.latency.most)
		}
		io.WriteString(w, ")\n")
	}
	io.WriteString(w, "\n")
}

const dumpTime = "Mon Jan 02 15:04:05 MST 2006"

func (e *engine) dump(w io.Writer) {
	t := &e.sessions
	fmt.Fprintf(w, "SessionTracker dump:\nSession Sets (%d)/(%d):\n", len(t.buckets), len(t.byID))
	for _, bucket := range slices.Sorted(maps.Keys(t.buckets)) {
		at := t.base.Add(time.Duration(bucket) * time.Millisecond)
		fmt.Fprintf(w, "%d expire at %s:\n", len(t.buckets[bucket]), at.UTC().Format(dumpTime))
		var ids []int64
		for s := range t.buckets[bucket] {
			ids = append(ids, s.id)
		}
		slices.Sort(ids)
		for _, id := range ids {
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
	io.WriteString(w, "Connections dump:\n")
}

func (e *engine) envi(w io.Writer) {
	host, _ := os.Hostname()
	dir, _ := os.Getwd()
	name, home := "", ""
	if u, err := user.Current(); err == nil {
		name, home = u.Username, u.HomeDir
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	mb := func(n uint64) string { return fmt.Sprintf("%dMB", n>>20) }
	fmt.Fprintln(w, "Environment:")
	for _, kv := range [][2]string{
		{"zookeeper.version", e.version()},
		{"host.name", host},
		{"java.version", runtime.Version()},
		{"java.vendor", "Go"},
		{"java.home", "<NA>"},
		{"java.class.path", "<NA>"},
		{"java.library.path", "<NA>"},
		{"java.io.tmpdir", os.TempDir()},
		{"java.compiler", runtime.Compiler},
		{"os.name", runtime.GOOS},
		{"os.arch", runtime.GOARCH},
		{"os.version", "<NA>"},
		{"user.name", name},
		{"user.home", home},
		{"user.dir", dir},
		{"os.memory.free", mb(mem.HeapIdle)},
		{"os.memory.max", mb(mem.Sys)},
		{"os.memory.total", mb(mem.HeapSys)},
	} {
		fmt.Fprintf(w, "%s=%s\n", kv[0], kv[1])
	}
}

// hash lists the digests of the tree at earlier zxids, of which none are kept.
func (e *engine) hash(io.Writer) {}

func (e *engine) mntr(w io.Writer) {
	st := &e.srv.stats
	global, local := 0, 0
	for _, s := range e.sessions.byID {
		if s.local {
			local++
		} else {
			global++
		}
	}
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"version", e.version()},
		{"server_state", e.mode()},
		{"ephemerals_count", e.tree.EphemeralCount()},
		{"num_alive_connections", e.srv.ConnCount()},
		{"avg_latency", e.latency.average()},
		{"min_latency", e.latency.least},
		{"max_latency", e.latency.most},
		{"outstanding_requests", e.outstanding()},
		{"znode_count", e.tree.Len() + 1},
		{"global_sessions", global},
		{"local_sessions", local},
		{"packets_received", st.received.Load()},
		{"packets_sent", st.sent.Load()},
		{"watch_count", e.watches.count},
		{"auth_failed_count", st.authFailed.Load()},
		{"connection_rejected", st.rejected.Load()},
		{"approximate_data_size", e.tree.Bytes()},
		{"uptime", time.Since(e.srv.started).Milliseconds()},
	} {
		fmt.Fprintf(w, "zk_%s\t%v\n", kv.key, kv.value)
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
