package zkserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// traveller is a data directory that an Apache server and one of ours use in turns.
type traveller struct {
	t      *testing.T
	apache *ensemble.Server
	dir    string
	srv    *zkserver.Server
	log    strings.Builder // of ours
	opts   []zkserver.Option
}

// newTraveller makes one for an Apache server that is down, and whose data it removes.
func newTraveller(t *testing.T, s *ensemble.Server) *traveller {
	v := &traveller{t: t, apache: s, dir: filepath.Dir(s.DataDir())}
	must(t, s.Kill())
	must(t, s.Wipe())
	return v
}

// ours starts our server on the directory.
func (v *traveller) ours() string {
	v.t.Helper()
	v.log.Reset()
	v.srv = start(v.t, append(v.opts, zkserver.WithDir(v.dir), zkserver.WithExtendedTypes(), zkserver.WithSuperDigest(gazoo.DigestID("super", "secret")),
		zkserver.WithSessionTimeouts(time.Second, time.Hour), zkserver.WithMaxClientConns(0), zkserver.WithSnapCount(9000),
		zkserver.WithLogger(slog.New(slog.NewTextHandler(&v.log, nil))))...)
	if strings.Contains(v.log.String(), "level=WARN") {
		v.t.Errorf("what is out of the ordinary in the directory: %s", v.log.String())
	}
	return v.srv.Addr()
}

// theirs starts Apache on it.
func (v *traveller) theirs() string {
	v.t.Helper()
	if err := v.apache.Start(); err != nil {
		v.t.Fatalf("Apache does not start: %v\n%s", err, v.apache.Log())
	}
	return v.apache.Addr()
}

// noMismatch checks that Apache found the digests of all transactions to be right.
func noMismatch(t *testing.T, s *ensemble.Server) {
	t.Helper()
	text, err := ensemble.FourLetter(s.Addr(), "mntr")
	if err != nil || !strings.Contains(text, "zk_digest_mismatches_count\t0\n") {
		t.Errorf("mntr does not say zk_digest_mismatches_count 0: %v\n%s", err, text)
	}
}

// superClient opens a session that is not closed with the test: it outlives its server.
func superClient(t *testing.T, addr string, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	zk, err := gazoo.Connect(ctx, addr, append([]gazoo.Option{
		gazoo.WithAuth("digest", []byte("super:secret")), gazoo.WithSessionTimeout(10 * time.Minute),
	}, opts...)...)
	must(t, err)
	t.Cleanup(func() { zk.CloseNow(); <-zk.Done() })
	return zk
}

// abreast calls f for each number below n, several at a time.
func abreast(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	const workers = 16
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	must(t, errors.Join(errs...))
}

// znode is all that a client can learn about a znode.
type znode struct {
	Data []byte
	ACL  []zkproto.ACL
	Stat zkproto.Stat
	Kids []string
}

// readAll reads all of a server.
func readAll(t *testing.T, zk *gazoo.Client) map[string]znode {
	t.Helper()
	all := map[string]znode{}
	for level := []string{"/"}; len(level) > 0; {
		nodes := make([]znode, len(level))
		abreast(t, len(level), func(i int) error {
			data, stat, err := zk.Get(t.Context(), level[i])
			acl, _, err2 := zk.GetACL(t.Context(), level[i])
			nodes[i] = znode{Data: data, ACL: acl, Stat: stat}
			if stat.NumChildren > 0 {
				kids, err3 := zk.Children(t.Context(), level[i])
				slices.Sort(kids)
				nodes[i].Kids, err = kids, errors.Join(err, err3)
			}
			return errors.Join(err, err2)
		})
		var next []string
		for i, p := range level {
			all[p] = nodes[i]
			for _, kid := range nodes[i].Kids {
				next = append(next, path.Join(p, kid))
			}
		}
		level = next
	}
	return all
}

// equal fails the test unless two maps of znodes are the same.
func equal[N any](t *testing.T, what string, got, want map[string]N) {
	t.Helper()
	wrong := 0
	for p, w := range want {
		if g, there := got[p]; !there || !reflect.DeepEqual(g, w) {
			if wrong++; wrong <= 5 {
				t.Errorf("%s: %s\n got %+v\nwant %+v", what, p, g, w)
			}
		}
	}
	for p := range got {
		if _, there := want[p]; !there {
			if wrong++; wrong <= 5 {
				t.Errorf("%s: %s should not be there", what, p)
			}
		}
	}
	if wrong > 5 {
		t.Errorf("%s: %d of %d znodes differ", what, wrong, len(want))
	}
}

// record is a znode as the directory has it, which tells what kind it is.
type record struct {
	ztree.NodeRecord
	ACL []zkproto.ACL
}

// records reads the directory of a server that is down, and the sessions in it.
func (v *traveller) records() (map[string]record, map[int64]int32) {
	v.t.Helper()
	rec, err := zkdisk.Read(zkdisk.OS{}, v.dir, zkdisk.Options{Tree: ztree.Options{Digest: true, ExtendedTypes: true}})
	must(v.t, err)
	if rec.DigestMismatches > 0 || len(rec.Dropped) > 0 {
		v.t.Errorf("%d digest mismatches, dropped %v, notes %q", rec.DigestMismatches, rec.Dropped, rec.Notes)
	}
	all := map[string]record{}
	s := rec.Tree.Snapshot()
	for n, more := s.Next(); more; n, more = s.Next() {
		acl := s.ACLs[n.ACLKey]
		n.ACLKey = 0 // keys are each server's own
		all[n.Path] = record{n, acl}
	}
	return all, s.Sessions
}

// kinds are the znodes that fill makes in turns.
var kinds = []struct {
	name string
	data func(i int) []byte
	opts []gazoo.CreateOption
}{
	{"plain", text, nil},
	{"null", func(int) []byte { return nil }, nil},
	{"empty", func(int) []byte { return []byte{} }, nil},
	{"sequential-", text, []gazoo.CreateOption{gazoo.Sequential()}},
	{"ephemeral", text, []gazoo.CreateOption{gazoo.Ephemeral()}},
	{"both-", text, []gazoo.CreateOption{gazoo.Ephemeral(), gazoo.Sequential()}},
	{"container", text, []gazoo.CreateOption{gazoo.Container()}},
	{"ttl", text, []gazoo.CreateOption{gazoo.TTL(2 * time.Hour)}},
	{"mine", text, []gazoo.CreateOption{gazoo.WithACL(gazoo.ACL{Perms: zkproto.PermAll, Scheme: "auth"})}},
	{"Höhle %2F 日本 …", text, nil},
	{"ip", text, nil}, // with an ACL of its own
	{"large", func(i int) []byte { return []byte(strings.Repeat(strconv.Itoa(i), 300)) }, nil},
}

func text(i int) []byte { return fmt.Appendf(nil, "data of %d", i) }

// fill makes some n znodes of all kinds, and does to them what there is to do. It returns how
// many it made.
func (v *traveller) fill(zk []*gazoo.Client, root string, n int) int {
	t, ctx := v.t, v.t.Context()
	t.Helper()
	const each = 100
	for _, c := range zk {
		must(t, c.AddAuth(ctx, "digest", []byte("me:pw")))
	}
	_, err := zk[0].Create(ctx, root, nil)
	must(t, err)
	abreast(t, (n+each-1)/each, func(i int) error {
		group := fmt.Sprintf("%s/group%d", root, i)
		_, err := zk[i%len(zk)].Create(ctx, group, nil)
		if i%100 == 0 {
			limits := "/zookeeper/quota" + group
			_, err2 := zk[i%len(zk)].Create(ctx, limits+"/zookeeper_limits", []byte("count=100000,bytes=-1"), gazoo.Parents())
			_, err3 := zk[i%len(zk)].Create(ctx, limits+"/zookeeper_stats", []byte("count=1,bytes=0"))
			err = errors.Join(err, err2, err3)
		}
		return err
	})
	abreast(t, n, func(i int) error {
		zk, kind, opts := zk[i%len(zk)], &kinds[i%len(kinds)], []gazoo.CreateOption(nil)
		opts = append(opts, kind.opts...)
		if kind.name == "ip" {
			opts = append(opts, gazoo.WithACL(gazoo.ACL{Perms: zkproto.PermRead, Scheme: "ip", ID: fmt.Sprintf("10.0.%d.0/24", i%200)},
				gazoo.ACL{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}))
		}
		data := kind.data(i)
		if i%1200 == 11 {
			data = []byte(strings.Repeat("large", 40_000))
		}
		p, err := zk.Create(ctx, fmt.Sprintf("%s/group%d/%s%d", root, i/each, kind.name, i), data, opts...)
		if err != nil {
			return err
		}
		switch i % 11 {
		case 0:
			_, err = zk.Set(ctx, p, text(-i), 0)
		case 1:
			_, err = zk.SetACL(ctx, p, []gazoo.ACL{{Perms: zkproto.PermRead, Scheme: "world", ID: "anyone"}}, 0)
		case 2:
			_, err = zk.Create(ctx, p+"/kid", nil)
			if errors.Is(err, gazoo.ErrNoChildrenForEphemerals) {
				err = nil
			}
		case 3:
			txn := zk.Txn().Set(p, nil, 0).Create(p+".multi", text(i), gazoo.Container()).Create(p+".gone", nil).Delete(p+".gone", 0)
			_, err = txn.Commit(ctx)
		case 4:
			_, err = zk.Txn().Set(p, nil, 0).Check(p, 7).Commit(ctx)
			if errors.Is(err, gazoo.ErrBadVersion) {
				err = nil
			}
		case 5:
			err = zk.Delete(ctx, p, 0)
		}
		return err
	})
	return n
}

// Our server fills a directory, Apache's opens it, changes it and is killed, and ours opens it
// again. Each time every field of every znode is what it was, sessions are resumed from one to the
// other, and no digest is wrong.
func TestDirectoryTravels(t *testing.T) {
	n := fromEnv(t, "GAZOO_ZNODES", 2400)
	e := ensemble.StartT(t, ensemble.Config{
		SuperDigest: gazoo.DigestID("super", "secret"), MaxSessionTimeout: time.Hour,
		Properties:       map[string]string{"maxClientCnxns": "0"},
		SystemProperties: map[string]string{"zookeeper.snapCount": strconv.Itoa(max(n/40, 40)), "znode.container.checkIntervalMs": "3600000"},
	})
	v := newTraveller(t, e.Server(0))

	addr := v.ours()
	clients := []*gazoo.Client{superClient(t, addr), superClient(t, addr), superClient(t, addr)}
	written := v.fill(clients, "/ours", n)
	want := readAll(t, clients[0])
	saved := clients[1].Session().Saved()
	must(t, v.srv.Close())
	before, sessions := v.records()
	if sessions[saved.ID] == 0 {
		t.Errorf("session 0x%x is not in the directory: %v", saved.ID, sessions)
	}

	zk := superClient(t, v.theirs())
	equal(t, "what Apache reads of ours", readAll(t, zk), want)
	noMismatch(t, v.apache)
	resumed := superClient(t, v.apache.Addr(), gazoo.WithSession(saved))
	if resumed.SessionID() != saved.ID {
		t.Errorf("Apache resumed session 0x%x as 0x%x", saved.ID, resumed.SessionID())
	}
	changed := v.fill([]*gazoo.Client{zk, resumed}, "/theirs", n/10)
	touched := map[string]bool{"": true, "/ours": true}
	for i := 0; i < n; i += 20 { // plain, empty, ephemeral, container, mine, ip in turns
		group := fmt.Sprintf("/ours/group%d", i/100)
		kids, err := zk.Children(t.Context(), group)
		must(t, err)
		slices.Sort(kids)
		p := group + "/" + kids[i%len(kids)]
		touched[p], touched[group] = true, true
		switch i / 20 % 3 {
		case 0:
			_, err = zk.Set(t.Context(), p, []byte("changed by Apache"), gazoo.AnyVersion)
		case 1:
			_, err = zk.SetACL(t.Context(), p, []gazoo.ACL{{Perms: zkproto.PermAll, Scheme: "digest", ID: "x:y"}}, gazoo.AnyVersion)
		case 2:
			if err = zk.Delete(t.Context(), p, gazoo.AnyVersion); errors.Is(err, gazoo.ErrNotEmpty) {
				err = nil
			}
		}
		must(t, err)
		changed++
	}
	want = readAll(t, zk)
	noMismatch(t, v.apache)
	theirSession := zk.Session().Saved()
	must(t, v.apache.Kill())
	after, _ := v.records()
	for p, rec := range before {
		if !touched[p] && !strings.HasPrefix(p, "/zookeeper") && !reflect.DeepEqual(after[p], rec) {
			t.Errorf("%s was not changed, but is\n%+v, was\n%+v", p, after[p], rec)
		}
	}

	addr = v.ours()
	back := superClient(t, addr, gazoo.WithSession(theirSession))
	if back.SessionID() != theirSession.ID {
		t.Errorf("ours resumed session 0x%x as 0x%x", theirSession.ID, back.SessionID())
	}
	got := readAll(t, back)
	equal(t, "what ours reads of Apache's", got, want)
	owners := map[int64]int{}
	for _, rec := range after {
		owners[int64(uint64(rec.Owner)>>40)]++ // the kind of it, but for ephemerals
	}
	containers, ttls := owners[0x800000], owners[0xff0000]
	if containers < n/20 || ttls < n/20 {
		t.Errorf("%d containers and %d TTLs: %v", containers, ttls, owners)
	}
	t.Logf("roundtrip: znodes=%d written=%d changed=%d containers=%d ttls=%d", len(got), written, changed, containers, ttls)
}
