package zkserver_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// dataDir is a directory on a simulated disk.
const dataDir = "/srv/zk"

func inDir(name string) string { return filepath.Join(dataDir, "version-2", name) }

// onDisk are the options of a server on a simulated disk.
func onDisk(disk *zkdisk.SimDisk, more ...zkserver.Option) []zkserver.Option {
	return append([]zkserver.Option{
		zkserver.WithFS(disk, dataDir), zkserver.WithPreAllocSize(4096), zkserver.WithExtendedTypes(),
	}, more...)
}

// restart closes the world's server and starts another one in its place.
func (v *world) restart(opts ...zkserver.Option) {
	v.t.Helper()
	v.srv.Close()
	if err := v.begin(opts...); err != nil {
		v.t.Fatal(err)
	}
}

func (v *world) begin(opts ...zkserver.Option) error {
	synctest.Wait() // a listener that the last server had not taken yet is closed by its Serve
	srv, err := zkserver.New(opts...)
	if err != nil {
		return err
	}
	ln, err := v.net.Listen(memAddr)
	if err != nil {
		srv.Close()
		v.t.Fatal(err)
	}
	v.srv = srv
	go srv.Serve(ln)
	return nil
}

// files lists a directory's files that begin with a prefix, oldest first.
func files(t testing.TB, disk *zkdisk.SimDisk, prefix string) []string {
	t.Helper()
	names, err := disk.ReadDir(inDir(""))
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) })
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return names
}

// edit changes the bytes of a file.
func edit(t testing.TB, disk *zkdisk.SimDisk, name string, change func([]byte)) {
	t.Helper()
	f, err := disk.Open(inDir(name))
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	change(data)
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
}

// A session outlives its server: with its password it is resumed on the next one, and its time-out
// begins anew there.
func TestSessionsOutliveTheServer(t *testing.T) {
	disk := zkdisk.NewSimDisk()
	virtual(t, func(t *testing.T, v *world) {
		away, back := v.dial().Open(10*time.Second), v.dial().Open(10*time.Second)
		for _, c := range []*rawzk.Conn{away, back} {
			req := create(fmt.Sprintf("/%x", c.Session.SessionID))
			req.Mode = zkproto.ModeEphemeral
			c.Want(zkproto.OK, zkproto.OpCreate, req)
		}
		time.Sleep(9 * time.Second)
		v.restart(onDisk(disk)...)
		started := time.Now()
		if s := v.srv.Sessions(); len(s) != 2 || len(s[0].Ephemerals) != 1 || s[0].Connected || s[0].Timeout != 10*time.Second {
			t.Errorf("Sessions() = %+v, want two with an ephemeral each", s)
		}
		time.Sleep(9 * time.Second)
		wrong := rawzk.Resume(back.Session)
		wrong.Password = make([]byte, 16)
		if s := v.dial().Handshake(wrong); !s.Refused() {
			t.Errorf("resumed with a wrong password: %+v", s)
		}
		again := v.dial()
		if s := again.Handshake(rawzk.Resume(back.Session)); s.SessionID != back.Session.SessionID || !bytes.Equal(s.Password, back.Session.Password) {
			t.Errorf("resumed session = %+v, want %+v", s, back.Session)
		}
		path := fmt.Sprintf("/%x", away.Session.SessionID)
		again.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: path, Watch: true})
		if ev := event(t, again.Next()); ev.Type != zkproto.EventDeleted || ev.Path != path {
			t.Errorf("event = %+v, want the other session's ephemeral gone", ev)
		}
		if d := time.Since(started); d < 10*time.Second || d > 13*time.Second {
			t.Errorf("the other session ended %v after the start, want its time-out and up to a tick", d)
		}
		again.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: fmt.Sprintf("/%x", back.Session.SessionID)})
		if fresh := v.dial().Open(10 * time.Second); fresh.Session.SessionID <= back.Session.SessionID {
			t.Errorf("new session %x, want one behind %x", fresh.Session.SessionID, back.Session.SessionID)
		}
	}, onDisk(disk)...)
}

// With a fixed beginning of session ids, those of sessions that are alive are not given again.
func TestSessionIDsAreNotGivenTwice(t *testing.T) {
	disk := zkdisk.NewSimDisk()
	opts := onDisk(disk, zkserver.WithSessionSeed(1))
	virtual(t, func(t *testing.T, v *world) {
		first := v.dial().Open(30 * time.Second)
		v.restart(opts...)
		if second := v.dial().Open(30 * time.Second); second.Session.SessionID != first.Session.SessionID+1 {
			t.Errorf("session id %x behind %x", second.Session.SessionID, first.Session.SessionID)
		}
	}, opts...)
}

// When the directory cannot be written any more, the server says so to its owner and answers
// nobody; what it had answered is there the next time.
func TestServerEndsWithItsDirectory(t *testing.T) {
	for _, full := range []bool{false, true} {
		disk, broken := zkdisk.NewSimDisk(), errors.New("I/O error")
		virtual(t, func(t *testing.T, v *world) {
			c := v.dial().Open(30 * time.Second)
			c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
			if err := v.srv.Err(); err != nil {
				t.Errorf("Err() = %v while serving", err)
			}
			want := broken
			if full {
				want = zkdisk.ErrDiskFull
				disk.SetCapacity(1)
				for i := 0; ; i++ { // what is allocated is still there to be used
					c.Send(zkproto.OpCreate, create(fmt.Sprintf("/b%d", i)))
					if p, err := c.TryNext(); err != nil {
						break
					} else if p.Err != zkproto.OK {
						t.Fatalf("create on a full disk = %v, want no answer", p.Err)
					}
				}
			} else {
				disk.Fault(func(op, _ string) error {
					if op == "sync" {
						return broken
					}
					return nil
				})
				c.Send(zkproto.OpCreate, create("/b"))
				c.Closed()
			}
			<-v.srv.Done()
			if err := v.srv.Err(); !errors.Is(err, want) {
				t.Errorf("Err() = %v, want %v", err, want)
			}
			if err := v.srv.Close(); !errors.Is(err, want) {
				t.Errorf("Close() = %v, want %v", err, want)
			}
			disk.Fault(nil)
			disk.SetCapacity(0)
			v.restart(onDisk(disk)...)
			again := v.dial()
			again.Handshake(rawzk.Resume(c.Session))
			again.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/a"})
			if err := v.srv.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
			if err := v.srv.Err(); !errors.Is(err, zkserver.ErrClosed) {
				t.Errorf("Err() after Close = %v", err)
			}
		}, onDisk(disk)...)
	}
}

// Snapshots are written by count and by size, less often as the tree grows, older ones go, and a
// restart begins with the newest.
func TestSnapshots(t *testing.T) {
	for name, c := range map[string]struct {
		opts []zkserver.Option
		keep int // 0: all
	}{
		"count":        {[]zkserver.Option{zkserver.WithSnapCount(20)}, 3},
		"size":         {[]zkserver.Option{zkserver.WithSnapSize(2000)}, 3},
		"one retained": {[]zkserver.Option{zkserver.WithSnapCount(20), zkserver.WithSnapRetain(1)}, 1},
		"all retained": {[]zkserver.Option{zkserver.WithSnapCount(20), zkserver.WithSnapRetain(0)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			disk := zkdisk.NewSimDisk()
			opts := onDisk(disk, c.opts...)
			virtual(t, func(t *testing.T, v *world) {
				raw := v.dial().Open(30 * time.Second)
				for i := range 300 {
					raw.Want(zkproto.OK, zkproto.OpCreate, create(fmt.Sprintf("/n%d", i)))
					synctest.Wait() // or a snapshot could take as long as many requests
				}
				snaps := files(t, disk, "snapshot.")
				if c.keep > 0 && len(snaps) != c.keep || c.keep == 0 && (len(snaps) < 5 || len(snaps) > 9) {
					t.Errorf("snapshots %v, want %d", snaps, c.keep)
				}
				if left := files(t, disk, "gazoo-tmp"); len(left) > 0 {
					t.Errorf("left over: %v", left)
				}
				var log strings.Builder
				v.restart(append(opts, zkserver.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))...)
				if got := log.String(); !strings.Contains(got, "msg=recovered dir=/srv/zk zxid=0x12d snapshot=snapshot.") || !strings.Contains(got, "znodes=304 sessions=1") {
					t.Errorf("log %q", got)
				}
				raw = v.dial().Open(30 * time.Second)
				for i := range 300 {
					raw.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: fmt.Sprintf("/n%d", i)})
				}
			}, opts...)
		})
	}
}

// A damaged newest snapshot is left out for the one before it; damage inside of a log stops the
// start, and names the place.
func TestDamage(t *testing.T) {
	disk := zkdisk.NewSimDisk()
	opts := onDisk(disk, zkserver.WithSnapCount(20))
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(30 * time.Second)
		for i := range 100 {
			c.Want(zkproto.OK, zkproto.OpCreate, create(fmt.Sprintf("/n%d", i)))
		}
		v.srv.Close()
		snaps := files(t, disk, "snapshot.")
		newest, before := snaps[len(snaps)-1], snaps[len(snaps)-2]
		edit(t, disk, newest, func(b []byte) { b[len(b)/2] ^= 1 })
		var log strings.Builder
		v.restart(append(opts, zkserver.WithSnapCount(1000), zkserver.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))...)
		if got := log.String(); !strings.Contains(got, "snapshot="+before+" ") || !strings.Contains(got, newest+" is damaged") {
			t.Errorf("log %q, want a start from %s, and a word about %s", got, before, newest)
		}
		c = v.dial().Open(30 * time.Second)
		for i := range 100 {
			c.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: fmt.Sprintf("/n%d", i)})
		}
		c.Want(zkproto.OK, zkproto.OpCreate, create("/more"))
		v.srv.Close()

		logs := files(t, disk, "log.")
		bad := logs[len(logs)-1]
		flip := func(b []byte) { b[40] ^= 1 }
		edit(t, disk, bad, flip)
		err := v.begin(opts...)
		if err == nil || !strings.Contains(err.Error(), bad+" is damaged at offset 16") || !strings.Contains(err.Error(), dataDir) {
			t.Errorf("start on a damaged log = %v, want %s and offset 16", err, bad)
		}
		if err == nil {
			return
		}
		edit(t, disk, bad, flip)
		v.restart(opts...) // nothing was changed in it
	}, opts...)
}

// What the program itself does and sees of its server waits for the disk too.
func TestProgramWaitsForTheDisk(t *testing.T) {
	d := &disk{}
	virtual(t, func(t *testing.T, v *world) {
		put, seen := make(chan error, 1), make(chan int64, 1)
		go func() { put <- v.srv.Put("/a", nil) }()
		synctest.Wait()
		go func() { seen <- v.srv.Zxid() }()
		synctest.Wait()
		select {
		case err := <-put:
			t.Errorf("Put = %v before it was durable", err)
		case zxid := <-seen:
			t.Errorf("Zxid() = %d before it was durable", zxid)
		default:
		}
		d.finish(t, nil)
		if err, zxid := <-put, <-seen; err != nil || zxid != 1 {
			t.Errorf("Put = %v, Zxid() = %d, want 1", err, zxid)
		}
		broken := errors.New("disk is on fire")
		go func() { put <- v.srv.Put("/b", nil) }()
		d.finish(t, broken)
		if err := <-put; !errors.Is(err, broken) {
			t.Errorf("Put on a broken disk = %v", err)
		}
		if nodes := v.srv.Nodes("/"); nodes != nil {
			t.Errorf("a server that has failed shows %v", nodes)
		}
		if err := v.srv.Put("/c", nil); !errors.Is(err, broken) {
			t.Errorf("Put behind the failure = %v", err)
		}
	}, zkserver.WithJournal(d))
}

// With the epoch files of an ensemble in the directory, the server ends before zxids leave the
// epoch, and does not start when there are none left.
func TestZxidsUsedUp(t *testing.T) {
	disk := zkdisk.NewSimDisk()
	virtual(t, func(t *testing.T, v *world) {
		v.srv.Close()
		must(t, disk.Rename(inDir("snapshot.0"), inDir("snapshot.fffffffe")))
		f, err := disk.Create(inDir("currentEpoch"))
		must(t, err)
		_, err = f.Write([]byte("0"))
		must(t, err)
		v.restart(onDisk(disk)...)
		c := v.dial().Open(30 * time.Second) // takes the last one
		c.Send(zkproto.OpCreate, create("/a"))
		c.Closed()
		<-v.srv.Done()
		if err := v.srv.Err(); !errors.Is(err, zkdisk.ErrZxidsUsedUp) {
			t.Errorf("Err() = %v", err)
		}
		v.srv.Close()
		if err := v.begin(onDisk(disk)...); !errors.Is(err, zkdisk.ErrZxidsUsedUp) {
			t.Errorf("start = %v", err)
		}
	}, onDisk(disk)...)
}
