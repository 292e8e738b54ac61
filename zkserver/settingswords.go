package zkserver

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"runtime"
	"strconv"
)

// This file has the four-letter words about settings and surroundings.

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
