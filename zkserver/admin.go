package zkserver

import (
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// AdminHandler returns what Apache's admin server has below its /commands: the state of the
// server as JSON, with the same names and fields. "/commands" lists the commands, and
// "/commands/NAME" runs one, under its name or the four-letter word for it. The status is 200 also
// for commands that fail, which say so in "error".
//
// It has no access control, and some of its commands reset statistics: serve it on a loopback
// address, or behind something that asks who is there.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /commands", serveCommandList)
	mux.HandleFunc("GET /commands/{$}", serveCommandList)
	mux.HandleFunc("GET /commands/{name...}", s.serveCommand)
	return mux
}

func serveCommandList(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html;charset=utf-8")
	for _, name := range slices.Sorted(maps.Keys(adminCommands)) {
		fmt.Fprintf(w, "<a href=\"/commands/%s\">%[1]s</a>\n<br/>\n", html.EscapeString(name))
	}
}

func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if long, short := adminAliases[name]; short {
		name = long
	}
	var out []field
	if command, known := adminCommands[name]; known {
		fields, err := s.admin(command, r.URL.Query())
		out = append(out, fields...)
		out = append(out, field{"command", name}, field{"error", nil})
		if err != nil {
			out = []field{{"error", err.Error()}, {"command", name}}
		}
	} else {
		out = []field{{"command", name}, {"error", "Unknown command: " + name}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(printJSON(out), '\n'))
}

// errNotServing is what commands about the tree answer when there is none to be shown.
//
//lint:ignore ST1005 these are Apache's words
var errNotServing = errors.New("This ZooKeeper instance is not currently serving requests")

// admin runs a command on the engine, and returns when what it shows is durable.
func (s *Server) admin(command adminCommand, args url.Values) (out []field, err error) {
	if !s.call(func(e *engine) { out, err = command(e, args) }) {
		return nil, errNotServing
	}
	return out, err
}

// adminCommand is a command of the admin server. It runs on the engine.
type adminCommand func(e *engine, args url.Values) ([]field, error)

// show is a command that cannot fail and takes nothing.
func show(f func(*engine) []field) adminCommand {
	return func(e *engine, _ url.Values) ([]field, error) { return f(e), nil }
}

// reset is a command that shows nothing.
func reset(word func(*engine, io.Writer)) adminCommand {
	return func(e *engine, _ url.Values) ([]field, error) {
		word(e, io.Discard)
		return nil, nil
	}
}

var adminAliases = map[string]string{
	"conf": "configuration", "config": "configuration", "cons": "connections", "crst": "connection_stat_reset",
	"env": "environment", "envi": "environment", "gtmk": "get_trace_mask", "icfg": "initial_configuration",
	"isro": "is_read_only", "lead": "leader", "lsnp": "last_snapshot", "mntr": "monitor", "obsr": "observers",
	"orst": "observer_connection_stat_reset", "srst": "stat_reset", "srvr": "server_stats", "stat": "stats",
	"stmk": "set_trace_mask", "sysp": "system_properties", "wchc": "watches", "wchp": "watches_by_path",
	"wchs": "watch_summary",
}

var adminCommands = map[string]adminCommand{
	"configuration":         show((*engine).configuration),
	"connections":           show(func(e *engine) []field { return e.connectionLists(false) }),
	"connection_stat_reset": reset((*engine).crst),
	"dirs": show(func(e *engine) []field {
		return []field{{"datadir_size", e.dirSize()}, {"logdir_size", e.dirSize()}}
	}),
	"dump":           show((*engine).adminDump),
	"environment":    show((*engine).environment),
	"get_trace_mask": show(func(e *engine) []field { return []field{{"tracemask", e.traceMask}} }),
	"hash":           show(func(e *engine) []field { return []field{{"digests", e.digests.fields()}} }),
	"initial_configuration": show(func(e *engine) []field {
		return []field{{"initial_configuration", e.configText()}}
	}),
	"is_read_only": show(func(e *engine) []field { return []field{{"read_only", e.readOnly}} }),
	"last_snapshot": show(func(e *engine) []field {
		zxid, at := e.lastSnapshot()
		return []field{{"zxid", strconv.FormatUint(uint64(zxid), 16)}, {"timestamp", at}}
	}),
	"leader": func(*engine, url.Values) ([]field, error) {
		return nil, errors.New("server is not initialized") // Apache's answer where there is no quorum
	},
	"monitor":                        show((*engine).monitor),
	"observers":                      show(func(*engine) []field { return []field{{"synced_observers", 0}, {"observers", []string{}}} }),
	"observer_connection_stat_reset": show(func(*engine) []field { return nil }),
	"ruok":                           show(func(*engine) []field { return nil }),
	"server_stats":                   show((*engine).adminStats),
	"set_trace_mask":                 setTraceMask,
	"stat_reset":                     reset((*engine).srst),
	"stats":                          show(func(e *engine) []field { return append(e.adminStats(), e.connectionLists(true)...) }),
	"system_properties":              show((*engine).systemProperties),
	"voting_view":                    show(func(*engine) []field { return []field{{"current_config", []field{}}} }),
	"watches":                        show((*engine).adminWatches),
	"watches_by_path":                show((*engine).adminWatchers),
	"watch_summary": show(func(e *engine) []field {
		s := e.watchSummary()
		return []field{{"num_connections", s.conns}, {"num_paths", s.paths}, {"num_total_watches", s.total}}
	}),
	"zabstate": show(func(*engine) []field { return []field{{"voting", false}, {"zabstate", ""}} }),
}

func setTraceMask(e *engine, args url.Values) ([]field, error) {
	if !args.Has("traceMask") {
		return nil, errors.New("setTraceMask requires long traceMask argument")
	}
	mask, err := strconv.ParseInt(args.Get("traceMask"), 10, 64)
	if err != nil {
		return nil, errors.New("traceMask must be a long")
	}
	e.traceMask = mask
	return []field{{"tracemask", mask}}, nil
}

// adminStats is the body of server_stats and the begin of stats.
func (e *engine) adminStats() []field {
	st, r := &e.srv.stats, e.metrics.response
	response := []field{{"last_buffer_size", r.last}, {"min_buffer_size", r.least}, {"max_buffer_size", r.most}}
	return []field{
		{"version", e.version()},
		{"read_only", e.readOnly},
		{"server_stats", []field{
			{"packets_sent", st.sent.Load()},
			{"packets_received", st.received.Load()},
			{"fsync_threshold_exceed_count", e.metrics.slowFlushes},
			{"client_response_stats", response},
			{"data_dir_size", e.dirSize()},
			{"log_dir_size", e.dirSize()},
			{"provider_null", false},
			{"server_state", e.mode()},
			{"last_processed_zxid", e.tree.Zxid()},
			{"outstanding_requests", e.outstanding()},
			{"avg_latency", e.latency.average()},
			{"max_latency", e.latency.most},
			{"min_latency", e.latency.least},
			{"num_alive_client_connections", e.srv.ConnCount()},
			{"auth_failed_count", st.authFailed.Load()},
			{"non_mtlsremote_conn_count", 0},
			{"non_mtlslocal_conn_count", 0},
			{"uptime", e.uptime()},
		}},
		{"client_response", response},
		{"node_count", e.tree.Len() + 1},
	}
}

// connectionLists are the connections, in full or what stats shows of them.
func (e *engine) connectionLists(brief bool) []field {
	var all [][]field
	for _, c := range e.conns() {
		info := []field{
			{"remote_socket_address", c.nc.RemoteAddr().String()},
			{"interest_ops", c.interest()},
			{"outstanding_requests", e.srv.in.outstandingOf(c)},
			{"packets_received", c.stats.received},
			{"packets_sent", c.stats.sent},
		}
		if s := c.session; s != nil && !brief {
			st := &c.stats
			info = append(info,
				field{"session_id", s.id}, field{"last_operation", st.lastOp()}, field{"established", c.since.UnixMilli()},
				field{"session_timeout", s.timeout}, field{"last_cxid", st.cxid}, field{"last_zxid", st.zxid},
				field{"last_response_time", e.responseTime(st)}, field{"last_latency", st.last}, field{"min_latency", st.latency.least},
				field{"avg_latency", st.latency.sum / max(1, st.latency.n)}, field{"max_latency", st.latency.most})
		}
		all = append(all, info)
	}
	return []field{{"connections", all}, {"secure_connections", []string{}}}
}

func (e *engine) adminDump() []field {
	var expiry, ephemerals []field
	for _, b := range e.sessionBuckets() {
		expiry = append(expiry, field{strconv.FormatInt(b.at, 10), b.ids})
	}
	for _, s := range e.sessionInfos() {
		if len(s.Ephemerals) > 0 {
			ephemerals = append(ephemerals, field{strconv.FormatInt(s.ID, 10), s.Ephemerals})
		}
	}
	return []field{{"expiry_time_to_session_ids", expiry}, {"session_id_to_ephemeral_paths", ephemerals}}
}

func (e *engine) adminWatches() []field {
	var all []field
	for _, c := range e.conns() {
		if watched := e.dataWatches(c); len(watched) > 0 {
			all = append(all, field{strconv.FormatInt(c.sessionID(), 10), watched})
		}
	}
	return []field{{"session_id_to_watched_paths", all}}
}

func (e *engine) adminWatchers() []field {
	byPath := e.watchersByPath()
	var all []field
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		all = append(all, field{path, byPath[path]})
	}
	return []field{{"path_to_session_ids", all}}
}

// configText is what a configuration file of Apache would say.
func (e *engine) configText() string {
	cfg := &e.srv.cfg
	var b strings.Builder
	for _, f := range e.configuration() {
		if name, ok := configNames[f.key]; ok {
			fmt.Fprintf(&b, "%s=%v\n", name, f.value)
		}
	}
	fmt.Fprintf(&b, "4lw.commands.whitelist=%s\n", strings.Join(cfg.words, ","))
	return b.String()
}

var configNames = map[string]string{
	"client_port": "clientPort", "data_dir": "dataDir", "tick_time": "tickTime", "max_client_cnxns": "maxClientCnxns",
	"min_session_timeout": "minSessionTimeout", "max_session_timeout": "maxSessionTimeout",
}

// systemProperties are the settings that Apache takes as such, and what the program is.
func (e *engine) systemProperties() []field {
	cfg := &e.srv.cfg
	all := []field{
		{"jute.maxbuffer", strconv.Itoa(cfg.maxRequest)},
		{"znode.container.checkIntervalMs", strconv.FormatInt(cfg.reapInterval.Milliseconds(), 10)},
		{"zookeeper.enforceQuota", strconv.FormatBool(cfg.enforceQuota)},
		{"zookeeper.extendedTypesEnabled", strconv.FormatBool(cfg.extended)},
		{"zookeeper.globalOutstandingLimit", strconv.Itoa(cfg.outstanding)},
		{"zookeeper.skipACL", map[bool]string{false: "no", true: "yes"}[cfg.skipACL]},
	}
	for _, f := range e.environment() {
		if strings.HasPrefix(f.key, "java.") || strings.HasPrefix(f.key, "user.") || strings.HasPrefix(f.key, "os.") && !strings.HasPrefix(f.key, "os.memory") {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b field) int { return strings.Compare(a.key, b.key) })
	return all
}
