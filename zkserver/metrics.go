package zkserver

import (
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// metrics are the measurements of the engine, in milliseconds or numbers. Nothing in them grows
// with what clients do.
type metrics struct {
	reads, updates                      quantiles
	fsync, batches                      latency
	created, deleted, changed, children latency // connections told of an event
	response                            sizes
	slowFlushes                         int64 // that took longer than slowFlush
	flushBegan                          time.Time
	batch                               int64 // transactions since the last flush began
}

// quantiles are a summary and the last values behind it.
type quantiles struct {
	latency
	ring [1024]int64
}

func (q *quantiles) add(ms int64) {
	q.ring[q.n%int64(len(q.ring))] = ms
	q.latency.add(ms)
}

// at returns a quantile of the last values.
func (q *quantiles) at(sorted []int64, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// sizes are those of replies and events, in bytes; -1 without any.
type sizes struct{ last, least, most int }

var noSizes = sizes{-1, -1, -1}

func (s *sizes) note(n int) {
	if s.last < 0 || n < s.least {
		s.least = n
	}
	s.last, s.most = n, max(s.most, n)
}

// measure takes what a request took.
func (m *metrics) measure(op zkproto.OpCode, ms int64) {
	switch op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL, zkproto.OpDelete,
		zkproto.OpSetData, zkproto.OpSetACL, zkproto.OpMulti, zkproto.OpReconfig, zkproto.OpCloseSession:
		m.updates.add(ms)
	case zkproto.OpPing:
	default:
		m.reads.add(ms)
	}
}

// told counts the connections that an event went to.
func (m *metrics) told(typ zkproto.EventType, n int) {
	if n == 0 {
		return
	}
	switch typ {
	case zkproto.EventCreated:
		m.created.add(int64(n))
	case zkproto.EventDeleted:
		m.deleted.add(int64(n))
	case zkproto.EventDataChanged:
		m.changed.add(int64(n))
	case zkproto.EventChildrenChanged:
		m.children.add(int64(n))
	}
}

// began notes that a flush begins with what was logged since the last one.
func (m *metrics) began() {
	m.flushBegan = time.Now()
	m.batches.add(m.batch)
	m.batch = 0
}

// slowFlush is what Apache warns of (fsync.warningthresholdms).
const slowFlush = time.Second

func (m *metrics) flushed() {
	took := time.Since(m.flushBegan)
	m.fsync.add(took.Milliseconds())
	if took > slowFlush {
		m.slowFlushes++
	}
}

// decimal is a number that is shown with a decimal point.
type decimal string

func decimalOf(x float64) decimal {
	x = math.Round(x*1e4) / 1e4
	if x == math.Trunc(x) {
		return decimal(strconv.FormatFloat(x, 'f', 1, 64))
	}
	return decimal(strconv.FormatFloat(x, 'f', -1, 64))
}

// field is a name and a value, in an order that is kept.
type field struct {
	key   string
	value any
}

// monitor is what mntr and the admin server's monitor command show, by Apache's names.
func (e *engine) monitor() []field {
	st, m := &e.srv.stats, &e.metrics
	global, local := 0, 0
	for _, s := range e.sessions.byID {
		if s.local {
			local++
		} else {
			global++
		}
	}
	open, most := fileDescriptors()
	all := []field{
		{"version", e.version()},
		{"server_state", e.mode()},
		{"ephemerals_count", e.tree.EphemeralCount()},
		{"num_alive_connections", e.srv.ConnCount()},
		{"avg_latency", e.latency.average()},
		{"outstanding_requests", e.outstanding()},
		{"znode_count", e.tree.Len() + 1},
		{"global_sessions", global},
		{"non_mtls_remote_conn_count", 0},
		{"last_client_response_size", m.response.last},
		{"packets_sent", st.sent.Load()},
		{"packets_received", st.received.Load()},
		{"max_client_response_size", m.response.most},
		{"connection_drop_probability", decimal("0.0")},
		{"watch_count", e.watches.count},
		{"auth_failed_count", st.authFailed.Load()},
		{"min_latency", e.latency.least},
		{"max_file_descriptor_count", most},
		{"approximate_data_size", e.tree.Bytes()},
		{"open_file_descriptor_count", open},
		{"local_sessions", local},
		{"uptime", e.uptime()},
		{"max_latency", e.latency.most},
		{"outstanding_tls_handshake", 0},
		{"min_client_response_size", m.response.least},
		{"non_mtls_local_conn_count", 0},
		{"throttled_ops", st.throttled.Load()},
		{"large_requests_rejected", st.largeRejected.Load()},
		{"connection_rejected", st.rejected.Load()},
		{"connection_request_count", st.connects.Load()},
		{"connection_revalidate_count", st.resumes.Load()},
		{"connection_drop_count", st.dropped.Load()},
		{"sessionless_connections_expired", st.silent.Load()},
		{"stale_sessions_expired", st.expired.Load()},
		{"bytes_received_count", st.bytesReceived.Load()},
		{"response_bytes", st.bytesSent.Load()},
		{"unrecoverable_error_count", boolInt(e.failed)},
		{"digest_mismatches_count", e.srv.cfg.disk.mismatches},
	}
	for _, s := range []struct {
		name string
		l    *latency
	}{
		{"fsynctime", &m.fsync},
		{"sync_processor_batch_size", &m.batches},
		{"node_created_watch_count", &m.created},
		{"node_deleted_watch_count", &m.deleted},
		{"node_changed_watch_count", &m.changed},
		{"node_children_watch_count", &m.children},
	} {
		all = appendSummary(all, s.name, s.l)
	}
	for _, s := range []struct {
		name string
		q    *quantiles
	}{{"readlatency", &m.reads}, {"updatelatency", &m.updates}} {
		all = appendSummary(all, s.name, &s.q.latency)
		last := slices.Sorted(slices.Values(s.q.ring[:min(s.q.n, int64(len(s.q.ring)))]))
		for _, p := range []struct {
			name string
			at   float64
		}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}} {
			all = append(all, field{p.name + "_" + s.name, s.q.at(last, p.at)})
		}
	}
	return all
}

func appendSummary(all []field, name string, l *latency) []field {
	return append(all,
		field{"avg_" + name, l.average()}, field{"min_" + name, l.least}, field{"max_" + name, l.most},
		field{"cnt_" + name, l.n}, field{"sum_" + name, l.sum})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fileDescriptors returns how many files are open, and how many may be; -1 where it cannot be
// known.
func fileDescriptors() (open, most int64) {
	open, most = -1, descriptorLimit()
	if dir, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = int64(len(dir))
	}
	return open, most
}
