package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/crashload"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// process is a gazoo serve that a test may kill.
type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
	err strings.Builder
}

func serve(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("gazoo", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)}
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	return p
}

// address waits until it serves.
func (p *process) address(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.kill()
		t.Fatalf("serve printed no address; it said %q", p.err.String())
	}
	return strings.TrimSpace(line)
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// The process is killed at random moments under the load of 16 clients. Each time everything
// that was acknowledged is there, nothing is half done, and all clients go on in their sessions,
// whose ephemerals are there.
func TestServeSurvivesKills(t *testing.T) {
	leak.Check(t)
	kills, clients := fromEnv(t, "GAZOO_KILLS", 8), 16
	ctx, stop := context.WithTimeout(t.Context(), time.Minute+time.Duration(kills)*10*time.Second)
	defer stop()
	dir := t.TempDir()
	args := []string{"--dir", dir, "--snap-count", "2000", "--prealloc", "1048576", "--max-session-timeout", "5m", "--max-client-conns", "0"}
	p := serve(t, args...)
	defer func() { p.kill() }()
	var addr atomic.Value // each process has a port of its own
	addr.Store(p.address(t))
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr.Load().(string))
	}

	load := crashload.New(clients)
	var team []*crashload.Worker
	var sessions []*gazoo.Session
	for id := range clients {
		zk, err := gazoo.Connect(ctx, "127.0.0.1", gazoo.WithDialer(dial), gazoo.WithSessionTimeout(5*time.Minute),
			gazoo.WithConnectRetry(gazoo.RetryForever(20*time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { zk.CloseNow(); <-zk.Done() }()
		w, err := load.Worker(ctx, zk, id, uint64(kills))
		if err != nil {
			t.Fatal(err)
		}
		team, sessions = append(team, w), append(sessions, zk.Session())
	}
	work, rest := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer rest()
	for _, w := range team {
		wg.Go(func() { w.Run(work) })
	}

	rnd := rand.New(rand.NewPCG(1, uint64(kills)))
	early, snapshots, resumed := 0, 0, 0
	for kill := range kills {
		if kill%5 == 4 { // as soon as it is there, or while it recovers
			early++
		} else if err := load.WaitAcked(ctx, load.Acked()+1+rnd.IntN(1000)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(rnd.IntN(3000)) * time.Microsecond) // acknowledgements come in bursts
		p.kill()
		problems, rec := recovered(t, load, dir)
		for _, problem := range problems {
			t.Errorf("kill %d: %s", kill, problem)
		}
		if rec.Snapshot != "snapshot.0" {
			snapshots++
		}
		if t.Failed() {
			return
		}
		p = serve(t, args...)
		if kill%5 == 3 {
			continue
		}
		addr.Store(p.address(t))
		for i, w := range team {
			if err := w.Client().WaitState(ctx, gazoo.StateConnected); err != nil {
				t.Fatal(err)
			}
			if err := context.Cause(sessions[i].Context()); err != nil || w.Client().SessionID() != sessions[i].ID() {
				t.Fatalf("kill %d: session %x has ended: %v; now %x", kill, sessions[i].ID(), err, w.Client().SessionID())
			}
			resumed++
		}
	}
	if err := load.WaitAcked(ctx, load.Acked()+100); err != nil {
		t.Error(err)
	}
	rest()
	wg.Wait()
	ephemerals := 0
	for _, w := range team {
		paths, err := w.Client().Ephemerals(ctx, "/")
		if err != nil {
			t.Fatal(err)
		}
		ephemerals += len(paths)
	}
	if promised := load.Ephemerals(); ephemerals < promised || promised == 0 {
		t.Errorf("%d ephemerals are there, %d were acknowledged", ephemerals, promised)
	}
	t.Logf("kill9: kills=%d acked=%d resumed=%d ephemerals=%d early=%d snapshots=%d", kills, load.Acked(), resumed, ephemerals, early, snapshots)
	if load.Acked() < 200*kills || resumed < kills*clients*3/4 {
		t.Error("the test tests too little")
	}
}

// recovered reads a directory whose server is dead, and compares it with what clients know.
func recovered(t *testing.T, load *crashload.Load, dir string) ([]string, *zkdisk.Recovery) {
	t.Helper()
	rec, err := zkdisk.Read(zkdisk.OS{}, dir, zkdisk.Options{Tree: ztree.Options{Digest: true}})
	if err != nil {
		t.Fatal(err)
	}
	problems := load.Check(rec.Tree)
	if rec.DigestMismatches > 0 || len(rec.Dropped) > 0 {
		problems = append(problems, fmt.Sprintf("%d digest mismatches, dropped %v: %v", rec.DigestMismatches, rec.Dropped, rec.Notes))
	}
	slices.Sort(problems)
	return problems, rec
}

// fromEnv returns how often a test does something.
func fromEnv(t *testing.T, name string, n int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
