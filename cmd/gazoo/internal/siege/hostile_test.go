//go:build linux

package siege

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// The server of these tests may use this much of each, and so this much memory in all. Go's
// collector lets a heap grow to twice what is in use.
const (
	bufferedTotal = 32 << 20
	waitingTotal  = 16 << 20
	slowConns     = 1000
	perConn       = 32 << 10
	memoryBound   = 2*(bufferedTotal+2*waitingTotal+slowConns*perConn) + 64<<20
)

// long is how long the server is fuzzed.
func long(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GAZOO_SIEGE")
	if text == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestHostilePeers(t *testing.T) {
	p := serve(t, "--max-buffered-total", fmt.Sprint(bufferedTotal), "--outstanding-bytes", fmt.Sprint(waitingTotal))
	h := newHonest(t, p.addr)
	for _, attack := range []func(*testing.T, *process, *honest){fuzzed, impossible, slow, mute} {
		attack(t, p, h)
		if t.Failed() {
			return
		}
		// It is up, and lets new clients in.
		mustCall(t, mustOpen(t, p.addr), zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
	}
	now, peak := p.memory()
	fmt.Printf("hostile: rss_mb=%d peak_mb=%d bound_mb=%d\n", now, peak, memoryBound>>20)
	if peak > memoryBound>>20 {
		t.Errorf("the server had %d MiB, want at most %d", peak, memoryBound>>20)
	}
}

// fuzzed sends requests that are nearly right, and bytes that are nothing.
func fuzzed(t *testing.T, p *process, h *honest) {
	var frames, conns atomic.Int64
	attack := func() {
		end := time.Now().Add(long(t))
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 1))
				for time.Now().Before(end) {
					n, err := fuzzOnce(p.addr, rnd)
					if err != nil {
						t.Errorf("fuzzing: %v", err)
						return
					}
					frames.Add(n)
					conns.Add(1)
				}
			})
		}
		wg.Wait()
	}
	h.compare("fuzz", quiet(min(long(t), 10*time.Second)), attack)
	fmt.Printf("hostile: fuzzed_frames=%d fuzzed_connections=%d\n", frames.Load(), conns.Load())
}

// fuzzOnce fuzzes one connection until the server closes it, or until it has had enough. It
// returns how many frames it sent. A connection that stays open must answer a ping at the end.
func fuzzOnce(addr string, rnd *rand.Rand) (int64, error) {
	if rnd.IntN(4) == 0 { // from the first byte on
		nc, err := dial(addr)
		if err != nil {
			return 0, err
		}
		defer nc.Close()
		nc.Write(garbage(rnd, 1+rnd.IntN(200)))
		nc.(*net.TCPConn).CloseWrite()
		_, err = io.Copy(io.Discard, nc)
		return 1, timedOut(err)
	}
	c, err := open(addr, 4*time.Second)
	if err != nil {
		return 0, err
	}
	defer c.nc.Close()
	var n int64
	for range 200 {
		b := c.appendRequest(nil, fuzzedOp(rnd), fuzzedRecord(rnd))
		if _, err := c.nc.Write(b); err != nil {
			return n, nil // it has been closed, as it should
		}
		n++
		// A ping behind it tells whether the connection goes on, and that the server is not stuck.
		if _, err := c.nc.Write(c.appendRequest(nil, zkproto.OpPing, nil)); err != nil {
			return n, nil
		}
		for {
			frame, err := c.frames.Next()
			if err != nil {
				return n, timedOut(err)
			}
			var head zkproto.ReplyHeader
			r := zkproto.NewReader(frame)
			if head.Decode(&r); head.Xid == zkproto.XidPing {
				break
			}
		}
	}
	return n, nil
}

// timedOut lets only that through: every other end of a connection is fine.
func timedOut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("no answer, and the connection is open")
	}
	return nil
}

func garbage(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// fuzzedOp is mostly an operation that there is: others end the connection.
func fuzzedOp(rnd *rand.Rand) zkproto.OpCode {
	if rnd.IntN(50) == 0 {
		return zkproto.OpCode(rnd.IntN(120) - 12)
	}
	known := []zkproto.OpCode{
		zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateTTL, zkproto.OpCreateContainer, zkproto.OpDelete, zkproto.OpSetData,
		zkproto.OpSetACL, zkproto.OpMulti, zkproto.OpMultiRead, zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren,
		zkproto.OpGetChildren2, zkproto.OpGetACL, zkproto.OpGetEphemerals, zkproto.OpGetAllChildrenNumber, zkproto.OpSync,
		zkproto.OpSetWatches, zkproto.OpSetWatches2, zkproto.OpAddWatch, zkproto.OpCheckWatches, zkproto.OpRemoveWatches,
		zkproto.OpReconfig, zkproto.OpWhoAmI, zkproto.OpSASL,
	}
	return known[rnd.IntN(len(known))]
}

// fuzzedRecord is a record with parts changed, cut off or made up.
func fuzzedRecord(rnd *rand.Rand) record {
	paths := []string{"/", "/fuzz", "/fuzz/a", "/fuzz/../a", "", "/zookeeper/quota", "/fuzz/\x00"}
	path := paths[rnd.IntN(len(paths))]
	var b []byte
	switch rnd.IntN(6) {
	case 0:
		b = create(path).AppendTo(nil)
	case 1:
		b = zkproto.SetDataRequest{Path: path, Data: garbage(rnd, rnd.IntN(100)), Version: int32(rnd.Uint32())}.AppendTo(nil)
	case 2:
		b = zkproto.MultiRequest{Ops: []zkproto.MultiOp{{Op: zkproto.OpCreate, Path: path, ACL: create(path).ACL}, {Op: zkproto.OpCheck, Path: path}}}.AppendTo(nil)
	case 3:
		b = zkproto.SetWatches2Request{Data: paths, Exist: paths, Child: paths, Persistent: paths, PersistentRecursive: paths}.AppendTo(nil)
	case 4:
		b = zkproto.AddWatchRequest{Path: path, Mode: zkproto.WatchPersistentRecursive}.AppendTo(nil)
	default:
		b = garbage(rnd, rnd.IntN(64))
	}
	for range rnd.IntN(4) {
		if len(b) == 0 {
			break
		}
		switch i := rnd.IntN(len(b)); rnd.IntN(4) {
		case 0:
			b[i] = byte(rnd.Uint32())
		case 1:
			b = b[:i]
		case 2: // a length, perhaps
			copy(b[i:], length(int32(rnd.Uint32())))
		default:
			copy(b[i:], length([]int32{-1, -2, math.MaxInt32, math.MinInt32, 1 << 20}[rnd.IntN(5)]))
		}
	}
	return rawRecord(b)
}

type rawRecord []byte

func (b rawRecord) AppendTo(out []byte) []byte { return append(out, b...) }

// impossible sends lengths that no frame has: the connection is closed, before and behind the
// handshake, as soon as the length is there.
func impossible(t *testing.T, p *process, _ *honest) {
	count := 0
	for _, n := range []int32{math.MaxInt32, math.MinInt32, -1, -2, 1 << 20, 1 << 30, 0, 3} {
		for _, behind := range []bool{false, true} {
			for range 20 {
				var nc net.Conn
				if behind {
					c, err := open(p.addr, 4*time.Second)
					if err != nil {
						t.Fatal(err)
					}
					nc = c.nc
				} else {
					var err error
					if nc, err = dial(p.addr); err != nil {
						t.Fatal(err)
					}
				}
				nc.SetDeadline(time.Now().Add(20 * time.Second))
				nc.Write(length(n))
				if n == 3 {
					nc.Write([]byte{1, 2, 3})
				}
				b, err := io.ReadAll(nc)
				if len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("length %d (behind a handshake: %t): got %d bytes, %v, want the connection closed", n, behind, len(b), err)
				}
				nc.Close()
				count++
			}
		}
	}
	fmt.Printf("hostile: impossible_lengths=%d\n", count)
}

// slow holds connections with frames of which hardly anything comes.
func slow(t *testing.T, p *process, h *honest) {
	attack := func() {
		var conns []net.Conn
		defer func() {
			for _, nc := range conns {
				nc.Close()
			}
		}()
		for i := range slowConns {
			var nc net.Conn
			if i%2 == 0 {
				c, err := open(p.addr, 40*time.Second)
				if err != nil {
					t.Fatalf("slow connection %d: %v", i, err)
				}
				nc = c.nc
			} else {
				var err error
				if nc, err = dial(p.addr); err != nil {
					t.Fatalf("slow connection %d: %v", i, err)
				}
			}
			nc.Write(length(1<<20 - 1)) // as large as it may be, and then a byte at a time
			conns = append(conns, nc)
		}
		tick := time.NewTicker(time.Second / 4)
		defer tick.Stop()
		for end := time.Now().Add(long(t) / 2); time.Now().Before(end); <-tick.C {
			for _, nc := range conns {
				nc.Write([]byte{0})
			}
		}
	}
	h.compare("slow", quiet(min(long(t), 5*time.Second)), attack)
	fmt.Printf("hostile: slow_connections=%d\n", slowConns)
}

// mute are clients that watch everything and never read. The clients without them have the same
// writes beside them, which nobody watches.
func mute(t *testing.T, p *process, h *honest) {
	const events, watchers = 100_000, 6
	path := "/" + strings.Repeat("m", 500) // more is due to them than may wait
	writer := mustOpen(t, p.addr)
	mustCall(t, writer, zkproto.OpCreate, create(path))
	writes := func() {
		if err := writer.flood(path, events); err != nil {
			t.Fatalf("writing: %v", err)
		}
	}
	h.compare("mute", writes, func() {
		for range watchers {
			c := mustOpen(t, p.addr)
			c.nc.(*net.TCPConn).SetReadBuffer(4096)
			mustCall(t, c, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: path, Mode: zkproto.WatchPersistentRecursive})
		}
		writes()
	})
	fmt.Printf("hostile: unread_events=%d watchers=%d\n", events, watchers)
}

// flood sets a znode n times, many at once.
func (c *client) flood(path string, n int) error {
	const window = 32
	c.nc.SetDeadline(time.Now().Add(5 * time.Minute))
	for done := 0; done < n; done += window {
		var b []byte
		for range window {
			b = c.appendRequest(b, zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Version: -1})
		}
		if _, err := c.nc.Write(b); err != nil {
			return err
		}
		for range window {
			if err := c.reply(zkproto.OpSetData); err != nil {
				return err
			}
		}
	}
	return nil
}
