package zkserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// This file compares what operators see with Apache's server: the commands of the admin server
// and the four-letter words.

// watched is a server with a session that has an ephemeral and watches it.
type watched struct {
	name, addr, admin string // admin is the URL in front of /commands
}

// watchedServers returns Apache's server and this one, in the same state.
func watchedServers(t *testing.T) []watched {
	t.Helper()
	apache := ensemble.StartT(t, ensemble.Config{Properties: map[string]string{"admin.enableServer": "true"}}).Server(0)
	ours := start(t, zkserver.WithDir(t.TempDir()), zkserver.WithFourLetterWords("*"), zkserver.WithExtendedTypes(),
		zkserver.WithTickTime(500*time.Millisecond), zkserver.WithMaxClientConns(0), zkserver.WithSessionTimeouts(time.Second, time.Minute))
	admin := httptest.NewServer(ours.AdminHandler())
	t.Cleanup(admin.Close)
	both := []watched{{"Apache", apache.Addr(), "http://" + apache.AdminAddr()}, {"ours", ours.Addr(), admin.URL}}
	for _, s := range both {
		c := rawzk.Dial(t, s.addr).Open(40 * time.Second)
		e := create("/e")
		e.Mode = zkproto.ModeEphemeral
		c.Want(zkproto.OK, zkproto.OpCreate, e)
		c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/e", Watch: true})
		c.Want(zkproto.OK, zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: "/", Watch: true})
	}
	return both
}

// get returns a page of an admin server.
func (s watched) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(s.admin + path)
	if err != nil {
		t.Fatalf("%s: GET %s: %v", s.name, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: GET %s: status %d, %v", s.name, path, resp.StatusCode, err)
	}
	return string(b)
}

// shape writes down the structure of a JSON value: the names, in order where they mean something,
// and the types. What differs from run to run or between the servers stands for itself as a type.
func shape(t *testing.T, text string) map[string]string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	out := make(map[string]string)
	walkShape(out, "", v)
	return out
}

var digitsOnly = regexp.MustCompile(`^[0-9]+$`)

func walkShape(out map[string]string, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		out[at] = "object"
		for k, x := range v {
			if digitsOnly.MatchString(k) {
				k = "N" // a session or a time
			}
			walkShape(out, at+"/"+k, x)
		}
	case []any:
		out[at] = "array"
		for _, x := range v {
			walkShape(out, at+"/*", x)
		}
	case json.Number:
		out[at] = "integer"
		if strings.Contains(v.String(), ".") {
			out[at] = "decimal"
		}
	case nil:
		out[at] = "null"
	case string:
		out[at] = "string"
		if strings.HasSuffix(at, "/error") || strings.HasSuffix(at, "/command") || strings.HasSuffix(at, "/server_state") {
			out[at] = fmt.Sprintf("%q", v)
		}
	default:
		out[at] = fmt.Sprintf("%T", v)
	}
}

var commandLink = regexp.MustCompile(`href="/commands/([a-z_]+)"`)

func TestAdminCommandsHaveApachesFields(t *testing.T) {
	both := watchedServers(t)
	apache, ours := both[0], both[1]
	list := apache.get(t, "/commands")
	if got := ours.get(t, "/commands"); strings.TrimSpace(got) != strings.TrimSpace(list) {
		t.Errorf("commands %q, want %q", got, list)
	}
	names := []string{"nope", "set_trace_mask?traceMask=306", "conf", "cons", "stat", "srvr", "wchc", "wchp", "wchs", "lsnp", "gtmk"}
	for _, m := range commandLink.FindAllStringSubmatch(list, -1) {
		// These show other things, as they must: properties of a JVM, and what has been compared below.
		if !slices.Contains([]string{"monitor", "system_properties", "stat_reset", "connection_stat_reset"}, m[1]) {
			names = append(names, m[1])
		}
	}
	for _, name := range names {
		want, got := shape(t, apache.get(t, "/commands/"+name)), shape(t, ours.get(t, "/commands/"+name))
		if !maps.Equal(got, want) {
			t.Errorf("%s:\nhave %v\nwant %v", name, got, want)
		}
	}
	for _, name := range []string{"stat_reset", "connection_stat_reset", "system_properties"} {
		got := shape(t, ours.get(t, "/commands/"+name))
		if got["/error"] != "null" || got["/command"] != fmt.Sprintf("%q", name) {
			t.Errorf("%s = %v", name, got)
		}
	}
	for _, s := range both {
		if got := s.get(t, "/commands/watches"); !strings.Contains(got, `[ "/e" ]`) {
			t.Errorf("%s: watches = %s", s.name, got)
		}
		if got := s.get(t, "/commands/ruok"); strings.TrimSpace(got) != "{\n  \"command\" : \"ruok\",\n  \"error\" : null\n}" {
			t.Errorf("%s: ruok = %q", s.name, got)
		}
	}
}

// notMeasured are the keys of Apache's monitor, up to what they begin with, that are not there
// because there is nothing behind them.
var notMeasured = regexp.MustCompile(`^((avg|min|max|cnt|sum|p50|p95|p99|p999)_)?(` + strings.Join([]string{
	// of a quorum
	"proposal_.*", "learner_.*", "follower_.*", "observer_.*", "looking_count", "diff_count", "snap_count", "commit_.*", "quit_leading_.*",
	"election_time", "leader_unavailable_time", "unavailable_time", "inflight_.*", "ensemble_auth_.*", "revalidate_count", "om_.*", "quorum_ack_latency", "ack_latency", "propagation_latency",
	"local_write_committed_time_ms", "server_write_committed_time_ms", "ack_.*",
	// of what the log tells
	"dbinittime", "startup_.*", "snapshottime",
	// of stages that requests go through there
	".*commitproc.*", ".*commit_proc.*", "commit_processor.*", ".*_session_queue.*", "session_queues_.*", "prep_.*", "sync_process(_time|or_queue.*|or_request.*)", "request_commit_queued", "requests_.*", "skip_learner_.*",
	"stale_(replies|requests|requests_dropped)", "outstanding_changes_.*", "request_throttle_.*", "write_batch_time.*", "concurrent_request_.*", "time_waiting_.*", "close_session_prep_time", "pending_session_.*",
	"read_(final|commit).*", "write_(final|commit).*", "reads_.*", "connection_token_deficit", "sync_processor_queue_.*",
	// of a JVM and its libraries
	"jvm_.*", "netty_.*", "socket_closing_time", "cnxn_closed_without_zk_server_running", "response_packet_.*", "unsuccessful_handshake", "tls_handshake_exceeded", "insecure_admin_count",
	// of watches as Apache keeps them
	"dead_watchers_.*", "add_dead_watcher_.*", "watch_bytes",
	// grows with the names that clients choose
	".*_per_namespace",
}, "|") + `)$`)

func TestMonitorHasApachesKeys(t *testing.T) {
	both := watchedServers(t)
	type keys map[string]string
	var words, commands []keys
	for _, s := range both {
		text := fourLetter(t, s.addr, "mntr")
		k := make(keys)
		for line := range strings.Lines(text) {
			key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !ok || !strings.HasPrefix(key, "zk_") {
				t.Errorf("%s: mntr has the line %q", s.name, line)
			}
			k[strings.TrimPrefix(key, "zk_")] = kindOf(value)
		}
		words = append(words, k)
		c := make(keys)
		for path, kind := range shape(t, s.get(t, "/commands/monitor")) {
			if key := strings.TrimPrefix(path, "/"); key != "" && key != "command" && key != "error" {
				c[key] = strings.Trim(kind, `"`)
			}
		}
		commands = append(commands, c)
	}
	for i, have := range [][]keys{words, commands} {
		apache, ours := have[0], have[1]
		for key, kind := range ours {
			if want, ok := apache[key]; !ok || want != kind {
				t.Errorf("%d: %s is %s, want %q", i, key, kind, want)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(apache)) {
			if _, ok := ours[key]; !ok && !notMeasured.MatchString(key) {
				t.Errorf("%d: %s is missing", i, key)
			}
		}
	}
	if len(words[1]) != len(commands[1]) {
		t.Errorf("mntr has %d keys, monitor %d", len(words[1]), len(commands[1]))
	}
}

func kindOf(value string) string {
	switch {
	case regexp.MustCompile(`^-?[0-9]+$`).MatchString(value):
		return "integer"
	case regexp.MustCompile(`^-?[0-9]+\.[0-9]+$`).MatchString(value):
		return "decimal"
	case value == "standalone":
		return value
	}
	return "string"
}

// fourLetter asks a four-letter word of a server.
func fourLetter(t *testing.T, addr, word string) string {
	t.Helper()
	text, err := ensemble.FourLetter(addr, word)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// varies is what differs in four-letter words from run to run, or between the servers.
var varies = []struct{ what, is string }{
	{`Zookeeper version: .*`, "VERSION"},
	{`/[0-9.]+:[0-9]+`, "/ADDR"},
	{`0x[0-9a-f]+`, "HEX"},
	{`expire at [A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} UTC [0-9]{4}`, "expire at TIME"},
	{`(?m)^(data(Log)?Dir|clientPort)=.*$`, "$1=X"},
	{`(?m)^0 expire at TIME:\n`, ""}, // Apache shows times at which nothing happens
	{`Sets \([0-9]+\)`, "Sets (N)"},  // and counts them
	{`est=[0-9]+`, "est=N"},
	{`(lresp|llat|minlat|avglat|maxlat|recved|sent|queued)=[0-9]+`, "$1=N"},
	{`(Size=|_size: )[0-9]+`, "${1}N"},
	{`(Received|Sent|Outstanding): [0-9]+`, "$1: N"},
	{`Latency min/avg/max: [0-9]+/[0-9]+\.[0-9]+/[0-9]+`, "LATENCY"},
}

func TestFourLetterWordsLookAsApaches(t *testing.T) {
	both := watchedServers(t)
	for _, word := range []string{"ruok", "isro", "gtmk", "srvr", "stat", "cons", "conf", "dump", "dirs", "wchs", "wchc", "wchp", "hash", "srst", "crst"} {
		var text [2]string
		for i, s := range both {
			text[i] = fourLetter(t, s.addr, word)
			for _, v := range varies {
				text[i] = regexp.MustCompile(v.what).ReplaceAllString(text[i], v.is)
			}
			lines := strings.SplitAfter(text[i], "\n")
			if word == "stat" || word == "cons" || word == "dump" {
				slices.Sort(lines) // connections come in any order
			}
			text[i] = strings.Join(lines, "")
		}
		if text[1] != text[0] {
			t.Errorf("%s:\nhave %s\nwant %s", word, text[1], text[0])
		}
	}
	names := func(addr string) []string {
		var all []string
		for line := range strings.Lines(fourLetter(t, addr, "envi")) {
			key, _, _ := strings.Cut(line, "=")
			all = append(all, key)
		}
		return all
	}
	if got, want := names(both[1].addr), names(both[0].addr); !slices.Equal(got, want) {
		t.Errorf("envi has %q, want %q", got, want)
	}
}
