package zkserver_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// copyState is `cp -r FROM/version-2 TO/`.
func copyState(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	must(t, os.CopyFS(filepath.Join(to, "version-2"), os.DirFS(filepath.Join(from, "version-2"))))
}

// age is how new the state of a member is: its epoch, then its zxid.
func age(t *testing.T, dir string) (epoch, zxid int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "version-2", "currentEpoch"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	epoch, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	rec, err := zkdisk.Read(zkdisk.OS{}, dir, zkdisk.Options{Tree: ztree.Options{Digest: true, ExtendedTypes: true}})
	must(t, err)
	return epoch, rec.Tree.Zxid()
}

// readMoved reads all of a server but for the znode into which each member of an ensemble writes by
// itself who its members are.
func readMoved(t *testing.T, zk *gazoo.Client) map[string]znode {
	t.Helper()
	all := readAll(t, zk)
	delete(all, "/zookeeper/config")
	return all
}

// These are the steps of docs/MOVING.md, with an ensemble of three: from a directory of this
// server to the ensemble, where a member is replaced and the leader changes, and back again.
func TestMovingToAnEnsembleAndBack(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{
		Servers: 3, SuperDigest: gazoo.DigestID("super", "secret"), MaxSessionTimeout: time.Hour,
		SystemProperties: map[string]string{"zookeeper.snapCount": "60", "znode.container.checkIntervalMs": "3600000"},
	})
	members := make([]string, e.Len()) // dataDirs
	for i := range members {
		s := e.Server(i)
		members[i] = filepath.Dir(s.DataDir())
		must(t, s.Kill())
		must(t, s.Wipe())
	}
	v := &traveller{t: t, dir: filepath.Join(t.TempDir(), "gazoo")}
	zk := superClient(t, v.ours())
	v.fill([]*gazoo.Client{zk}, "/before", 600)
	want := readMoved(t, zk)
	saved := zk.Session().Saved()

	// To the ensemble.
	must(t, v.srv.Close()) // 1. stop the server
	for _, dir := range members {
		copyState(t, v.dir, dir) // 2. seed every member, before any of them starts; myid is there
	}
	must(t, e.Restore(t.Context())) // 3. start all members
	for i := range members {
		s := e.Server(i)
		zk := superClient(t, s.Addr())
		must(t, zk.Sync(t.Context(), "/"))
		equal(t, fmt.Sprintf("member %d", s.ID()), readMoved(t, zk), want)
		noMismatch(t, s)
	}
	zk = superClient(t, e.Hosts(), gazoo.WithSession(saved))
	if zk.SessionID() != saved.ID {
		t.Errorf("session 0x%x goes on as 0x%x", saved.ID, zk.SessionID())
	}

	// It is an ensemble as any other: it elects another leader, and fills a member that is new.
	v.fill([]*gazoo.Client{zk}, "/meanwhile", 300)
	leader, err := e.Leader()
	must(t, err)
	other := (leader + 1) % e.Len()
	must(t, e.Server(other).Kill())
	must(t, e.Server(other).Wipe())
	must(t, e.Server(other).Start())
	must(t, e.Server(leader).Kill())
	_, err = e.WaitLeader(t.Context())
	must(t, err)
	must(t, zk.Retry(t.Context(), func(ctx context.Context) error { return zk.Sync(ctx, "/") }))
	v.fill([]*gazoo.Client{zk}, "/later", 300)
	want = readMoved(t, zk)
	for i := range members {
		if i != leader {
			noMismatch(t, e.Server(i))
		}
	}
	session := zk.SessionID()

	// And back.
	for i := range members {
		must(t, e.Server(i).Stop()) // 1. stop all members
	}
	newest, epoch, zxid := 0, int64(-1), int64(-1) // 2. the one with the highest epoch, and of those the highest zxid
	for i, dir := range members {
		if ep, z := age(t, dir); ep > epoch || ep == epoch && z > zxid {
			newest, epoch, zxid = i, ep, z
		}
	}
	if newest == leader {
		t.Errorf("member %d is the newest, but was down", leader+1)
	}
	v.dir = filepath.Join(t.TempDir(), "back")
	copyState(t, members[newest], v.dir) // 3. copy its state, and start on that
	zk = superClient(t, v.ours(), gazoo.WithSession(gazoo.SavedSession{ID: session, Password: saved.Password, Timeout: time.Minute}))
	if zk.SessionID() != session {
		t.Errorf("session 0x%x goes on as 0x%x", session, zk.SessionID())
	}
	got := readMoved(t, zk)
	equal(t, "back from the ensemble", got, want)
	if left, err := os.ReadFile(filepath.Join(v.dir, "version-2", "currentEpoch")); err != nil || strings.TrimSpace(string(left)) != strconv.FormatInt(epoch, 10) {
		t.Errorf("currentEpoch %q, %v, want %d as before", left, err, epoch)
	}
	must(t, v.srv.Close())

	// The other way, which leaves the epochs behind.
	from := v.dir
	v.dir = filepath.Join(t.TempDir(), "seeded")
	v.opts = []zkserver.Option{zkserver.WithSnapshotFrom(from)}
	equal(t, "seeded from it", readMoved(t, superClient(t, v.ours())), got)
}
