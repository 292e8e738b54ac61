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
	"strconv"
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

// configuration is what the admin server shows of the settings.
func (e *engine) configuration() []field {
	cfg := &e.srv.cfg
	port := -1
	if _, text, err := net.SplitHostPort(e.srv.Addr()); err == nil {
		if n, err := strconv.Atoi(text); err == nil {
			port = n
		}
	}
	dir := cfg.disk.versionDir()
	return []field{
		{"client_port", port},
		{"data_dir", dir},
		{"data_log_dir", dir},
		{"tick_time", cfg.tick.Milliseconds()},
		{"max_client_cnxns", cfg.maxClientConns},
		{"min_session_timeout", cfg.minTimeout.Milliseconds()},
		{"max_session_timeout", cfg.maxTimeout.Milliseconds()},
		{"server_id", 0},
		{"client_port_listen_backlog", -1},
	}
}

func (e *engine) conf(w io.Writer) {
	v := make(map[string]any)
	for _, f := range e.configuration() {
		v[f.key] = f.value
	}
	size := e.dirSize()
	fmt.Fprintf(w, "clientPort=%v\nsecureClientPort=-1\ndataDir=%v\ndataDirSize=%d\ndataLogDir=%v\ndataLogSize=%d\n",
		v["client_port"], v["data_dir"], size, v["data_log_dir"], size)
	fmt.Fprintf(w, "tickTime=%v\nmaxClientCnxns=%v\nminSessionTimeout=%v\nmaxSessionTimeout=%v\nclientPortListenBacklog=%v\nserverId=%v\n",
		v["tick_time"], v["max_client_cnxns"], v["min_session_timeout"], v["max_session_timeout"], v["client_port_listen_backlog"], v["server_id"])
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

// environment is what the server runs in, under the names of a JVM's properties.
func (e *engine) environment() []field {
	host, _ := os.Hostname()
	dir, _ := os.Getwd()
	name, home := "", ""
	if u, err := user.Current(); err == nil {
		name, home = u.Username, u.HomeDir
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	mb := func(n uint64) string { return fmt.Sprintf("%dMB", n>>20) }
	return []field{
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
	}
}

func (e *engine) envi(w io.Writer) {
	fmt.Fprintln(w, "Environment:")
	for _, f := range e.environment() {
		fmt.Fprintf(w, "%s=%v\n", f.key, f.value)
	}
}

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
