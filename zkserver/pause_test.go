package zkserver_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// syncLog is a log that is read while it is written.
type syncLog struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // has an element when something was written
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.b.Write(p)
}

func (l *syncLog) find(re *regexp.Regexp) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return re.FindStringSubmatch(l.b.String())
}

// While a snapshot is written requests go on: the engine never works on it for long. The client
// reads and writes meanwhile, and its slowest call is told too, which on a busy machine is not the
// server's fault alone.
func TestSnapshotPause(t *testing.T) {
	n := fromEnv(t, "GAZOO_PAUSE", 20_000)
	log := &syncLog{more: make(chan struct{}, 1)}
	srv := start(t, zkserver.WithDir(t.TempDir()), zkserver.WithSnapCount(1<<30), zkserver.WithSnapSize(int64(n)*300),
		zkserver.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	ctx := t.Context()
	zk, err := gazoo.Connect(ctx, srv.Addr())
	must(t, err)
	defer func() { zk.CloseNow(); <-zk.Done() }()
	_, err = zk.Create(ctx, "/a", nil)
	must(t, err)
	zkserver.Fill(srv, "/a", n)
	written := regexp.MustCompile(`msg="snapshot written" zxid=\S+ znodes=(\d+) took=(\S+) longest_pause=(\S+)`)
	timed := func(slowest *time.Duration, f func() error) {
		begin := time.Now()
		must(t, f())
		*slowest = max(*slowest, time.Since(begin))
	}
	var slowestGet, slowestSet time.Duration
	var found []string
	calls := 0
	for ; found == nil; found = log.find(written) {
		timed(&slowestGet, func() error { _, _, err := zk.Get(ctx, "/a"); return err })
		timed(&slowestSet, func() error {
			_, err := zk.Set(ctx, "/a", make([]byte, calls%50*2000), gazoo.AnyVersion)
			return err
		})
		calls++
	}
	longest, err := time.ParseDuration(found[3])
	must(t, err)
	t.Logf("pause: znodes=%s took=%s longest_us=%d calls=%d get_us=%d set_us=%d",
		found[1], found[2], longest.Microseconds(), calls, slowestGet.Microseconds(), slowestSet.Microseconds())
	if longest > time.Second {
		t.Errorf("the engine worked on the snapshot for %v", longest)
	}
}
