package zktest

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// UpdateEnv is the environment variable that makes [Server.RequireGolden] write its file instead
// of comparing it, when it is not empty.
const UpdateEnv = "ZKTEST_UPDATE"

// DumpOption says what [Server.Dump] shows.
type DumpOption func(*dump)

type dump struct {
	root     string
	versions bool
	system   bool
}

// Below shows a znode and what is below it alone (default "/").
func Below(path string) DumpOption { return func(d *dump) { d.root = path } }

// Versions shows the versions of data, children and ACL too, where one is not 0.
func Versions() DumpOption { return func(d *dump) { d.versions = true } }

// System shows the znodes of /zookeeper too.
func System() DumpOption { return func(d *dump) { d.system = true } }

// Dump returns the tree as text, a line for each znode in the order of their paths, which
// begins with the path. What is as usual is left out. For example:
//
//	/app "v1"
//	/app/key 0x00ff acl=world:anyone:r
//	/app/leader "host-1" ephemeral
//	/queue container
//	/token "x" ttl=5s
//
// Data is a quoted string where it is text, or hexadecimal. There is nothing in it that changes
// from one run to the next.
func (s *Server) Dump(opts ...DumpOption) string { return dumpOf(s.server(), opts) }

// Dump returns the tree as this endpoint sees it, see [Server.Dump].
func (ep *Endpoint) Dump(opts ...DumpOption) string { return dumpOf(ep.server(), opts) }

func dumpOf(srv *zkserver.Server, opts []DumpOption) string {
	d := dump{root: "/"}
	for _, o := range opts {
		o(&d)
	}
	if srv == nil {
		return ""
	}
	var b strings.Builder
	for _, n := range srv.Nodes(d.root) {
		system := n.Path == "/zookeeper" || strings.HasPrefix(n.Path, "/zookeeper/")
		if system && !d.system && !strings.HasPrefix(d.root, "/zookeeper") {
			continue
		}
		line := d.line(&n)
		if n.Path == "/" && line == "/" {
			continue
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

func (d *dump) line(n *zkserver.Node) string {
	line := n.Path
	switch {
	case len(n.Data) == 0:
	case utf8.Valid(n.Data):
		line += " " + strconv.Quote(string(n.Data))
	default:
		line += " 0x" + hex.EncodeToString(n.Data)
	}
	switch {
	case n.Stat.EphemeralOwner != 0:
		line += " ephemeral"
	case n.Container:
		line += " container"
	case n.TTL != 0:
		line += " ttl=" + n.TTL.String()
	}
	open := zkproto.ACL{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}
	if len(n.ACL) != 1 || n.ACL[0] != open {
		var entries []string
		for _, a := range n.ACL {
			entries = append(entries, fmt.Sprintf("%s:%s:%v", a.Scheme, a.ID, a.Perms))
		}
		line += " acl=" + strings.Join(entries, ",")
	}
	if v := n.Stat; d.versions && (v.Version != 0 || v.Cversion != 0 || v.Aversion != 0) {
		line += fmt.Sprintf(" versions=%d,%d,%d", v.Version, v.Cversion, v.Aversion)
	}
	return line
}

// RequireTree ends the test unless [Server.Dump] with these options is as wanted. Blank lines
// and the white space before a line do not count.
func (s *Server) RequireTree(t testing.TB, want string, opts ...DumpOption) {
	t.Helper()
	if diff := difference(s.Dump(opts...), want); diff != "" {
		t.Fatalf("zktest: the tree is not as wanted (- wanted, + there):\n%s", diff)
	}
}

// RequireGolden ends the test unless [Server.Dump] with these options is what is in a file. With
// [UpdateEnv] set it writes the file.
func (s *Server) RequireGolden(t testing.TB, file string, opts ...DumpOption) {
	t.Helper()
	got := s.Dump(opts...)
	if os.Getenv(UpdateEnv) != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatalf("zktest: %v", err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatalf("zktest: %v", err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("zktest: %v (set %s=1 to write it)", err, UpdateEnv)
	}
	if diff := difference(got, string(want)); diff != "" {
		t.Fatalf("zktest: the tree is not as in %s (- wanted, + there; set %s=1 to write it):\n%s", file, UpdateEnv, diff)
	}
}

// difference compares dumps: each line stands for itself, since it begins with a path.
func difference(got, want string) string {
	lines := func(s string) (all []string) {
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
		return all
	}
	set := func(all []string) map[string]bool {
		m := make(map[string]bool, len(all))
		for _, line := range all {
			m[line] = true
		}
		return m
	}
	g, w := lines(got), lines(want)
	inGot, inWant := set(g), set(w)
	type entry struct{ sign, line string }
	var diff []entry
	for _, line := range w {
		if !inGot[line] {
			diff = append(diff, entry{"- ", line})
		}
	}
	for _, line := range g {
		if !inWant[line] {
			diff = append(diff, entry{"+ ", line})
		}
	}
	slices.SortStableFunc(diff, func(a, b entry) int {
		pa, _, _ := strings.Cut(a.line, " ")
		pb, _, _ := strings.Cut(b.line, " ")
		return cmp.Compare(pa, pb)
	})
	var b strings.Builder
	for _, e := range diff {
		b.WriteString(e.sign + e.line + "\n")
	}
	return b.String()
}

// WatchInfo is a watch, as [Server.Watches] shows it.
type WatchInfo struct {
	zkserver.WatchInfo
	Endpoint *Endpoint
}

// Watches returns the watches of all endpoints, by path and session.
func (s *Server) Watches() []WatchInfo {
	var all []WatchInfo
	for _, ep := range s.endpoints {
		if srv := ep.server(); srv != nil {
			for _, w := range srv.Watches() {
				all = append(all, WatchInfo{w, ep})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b WatchInfo) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Session, b.Session))
	})
	return all
}

// Put sets the data of a znode past all sessions and ACLs, or makes it where there is none,
// with its parents. Watches are told, and endpoints that do not lag have it when Put returns. The
// error says why the server refuses it.
func (s *Server) Put(path, data string) error {
	defer s.settle()
	return s.server().Put(path, []byte(data))
}

// Get returns the data of a znode past all sessions and ACLs; false when there is none.
func (s *Server) Get(path string) (data string, found bool) {
	for _, n := range s.server().Nodes(path) {
		return string(n.Data), true
	}
	return "", false
}

// Remove deletes a znode and all below it past all sessions and ACLs. Watches are told, and
// endpoints that do not lag know of it when Remove returns. The error says why the server
// refuses it, such as [zkproto.ErrNoNode].
func (s *Server) Remove(path string) error {
	defer s.settle()
	return s.server().Remove(path)
}

// Zxid returns the zxid of the newest transaction; 0 while the server is stopped.
func (s *Server) Zxid() int64 { return s.server().Zxid() }

// Count returns the number of znodes without the root and those of /zookeeper.
func (s *Server) Count() int {
	n := 0
	for _, x := range s.server().Nodes("/") {
		if x.Path != "/" && x.Path != "/zookeeper" && !strings.HasPrefix(x.Path, "/zookeeper/") {
			n++
		}
	}
	return n
}
