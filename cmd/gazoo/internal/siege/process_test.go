//go:build linux

package siege

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/internal/procfs"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// program is gazoo, built once for all tests, without the race detector.
var program string

func TestMain(m *testing.M) { leak.Main(building{m}) }

type building struct{ m *testing.M }

func (b building) Run() int {
	dir, err := os.MkdirTemp("", "gazoo-siege-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "gazoo")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/gazoo-zk/gazoo/cmd/gazoo").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return b.m.Run()
}

// process is a running gazoo serve.
type process struct {
	t    testing.TB
	addr string
	cmd  *exec.Cmd
}

// serve starts a server, which must end in good order when the test is over.
func serve(t testing.TB, flags ...string) *process {
	t.Helper()
	cmd := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0", "--max-client-conns", "0", "--log-level", "ERROR"}, flags...)...)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	spawn := child.NewSpawner()
	t.Cleanup(spawn.Close)
	if err := spawn.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || log.Len() > 0 {
			t.Errorf("gazoo serve ended with %v; it said:\n%s", err, log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("gazoo serve printed no address: %v", err)
	}
	return &process{t: t, addr: strings.TrimSpace(line), cmd: cmd}
}

// memory returns what the process has in RAM, and the most that it had, in MiB.
func (p *process) memory() (now, peak int) {
	p.t.Helper()
	mib := func(figure string) int {
		bytes, err := procfs.Memory(p.cmd.Process.Pid, figure)
		if err != nil {
			p.t.Fatal(err)
		}
		return int(bytes >> 20)
	}
	return mib("VmRSS"), mib("VmHWM")
}

// dial connects without a handshake. Everything on the connection must be done in time.
func dial(addr string) (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(time.Minute))
	return nc, nil
}

// client is a session that speaks the protocol by hand.
type client struct {
	nc     net.Conn
	frames *zkproto.FrameReader
	xid    int32
}

func open(addr string, timeout time.Duration) (*client, error) {
	nc, err := dial(addr)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, frames: zkproto.NewFrameReader(nc, 0)}
	b, m := zkproto.BeginFrame(nil)
	b = zkproto.EndFrame(zkproto.ConnectRequest{TimeoutMS: int32(timeout.Milliseconds()), HasReadOnly: true}.AppendTo(b), m)
	if _, err := nc.Write(b); err != nil {
		nc.Close()
		return nil, err
	}
	frame, err := c.frames.Next()
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect response: %w", err)
	}
	var resp zkproto.ConnectResponse
	r := zkproto.NewReader(frame)
	if resp.Decode(&r); resp.Refused() {
		nc.Close()
		return nil, errors.New("session refused")
	}
	return c, nil
}

// mustOpen opens a session that is closed with the test.
func mustOpen(t testing.TB, addr string) *client {
	t.Helper()
	c, err := open(addr, 40*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.nc.Close() })
	return c
}

type record interface{ AppendTo([]byte) []byte }

// appendRequest encodes a request.
func (c *client) appendRequest(b []byte, op zkproto.OpCode, rec record) []byte {
	c.xid++
	b, m := zkproto.BeginFrame(b)
	b = zkproto.RequestHeader{Xid: c.xid, Op: op}.AppendTo(b)
	if rec != nil {
		b = rec.AppendTo(b)
	}
	return zkproto.EndFrame(b, m)
}

// call sends a request and waits for the next frame.
func (c *client) call(op zkproto.OpCode, rec record) error {
	if _, err := c.nc.Write(c.appendRequest(nil, op, rec)); err != nil {
		return err
	}
	return c.reply(op)
}

func (c *client) reply(op zkproto.OpCode) error {
	frame, err := c.frames.Next()
	if err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	var h zkproto.ReplyHeader
	r := zkproto.NewReader(frame)
	if h.Decode(&r); h.Err != zkproto.OK {
		return fmt.Errorf("%v: %w", op, h.Err)
	}
	return nil
}

func mustCall(t testing.TB, c *client, op zkproto.OpCode, rec record) {
	t.Helper()
	if err := c.call(op, rec); err != nil {
		t.Fatal(err)
	}
}

func create(path string) zkproto.CreateRequest {
	return zkproto.CreateRequest{Path: path, Data: []byte("v"), ACL: []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}}
}

// length encodes the length of a frame.
func length(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
