package load

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/histogram"
)

// Client is a library under load.
type Client struct {
	Name   string
	Module string // that the library is, for its version
	// Open connects and makes a job, or returns [ErrCannot].
	Open func(ctx context.Context, s *Spec) (*Job, error)
}

// ErrCannot says that a library has nothing for a load.
var ErrCannot = errors.New("this client cannot do that")

// Job is a load that is ready to run: either workers or episodes.
type Job struct {
	// Workers run side by side, each until its meter says stop.
	Workers []func(*Meter) error
	// Episode does the whole once.
	Episode func() (Episode, error)
	// Close ends the connections.
	Close func() error
}

// Episode is one turn of a load that is not a steady stream, such as a reconnect.
type Episode struct {
	Ops   int
	Took  time.Duration            // the part that counts; it is the latency too
	Extra map[string]time.Duration // parts of it, or what went before
}

// Main is the main function of a load program.
func Main(c Client) {
	var s Spec
	s.AddTo(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := Run(ctx, c, s)
	if err == nil {
		err = r.Write(os.Stdout, s.JSON)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "load-%s: %v\n", c.Name, err)
		code := 1
		if errors.Is(err, ErrCannot) {
			code = 3
		}
		os.Exit(code)
	}
}

// Run puts a load on a client.
func Run(ctx context.Context, c Client, s Spec) (*Result, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	job, err := c.Open(ctx, &s)
	if err != nil {
		return nil, err
	}
	r := &Result{
		Client: c.Name, Version: version(c.Module), Runtime: runtime.Version(), Op: s.Op, Mode: s.Mode,
		Size: s.Size, Names: s.Names, InFlight: s.InFlight, Goroutines: s.Goroutines, Conns: s.Conns,
	}
	if job.Episode != nil {
		err = r.episodes(ctx, &s, job)
	} else {
		err = r.stream(ctx, &s, job)
	}
	if job.Close != nil {
		err = errors.Join(err, job.Close())
	}
	if err == nil && r.Ops == 0 {
		err = errors.New("nothing ended within the measured time")
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// version finds a module's version in this program.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}

// mark is the state of the process at one end of the measured time.
type mark struct {
	at     time.Time
	ops    int64
	hist   histogram.Snapshot
	mem    runtime.MemStats
	cpu    time.Duration
	hasCPU bool
	calls  int64
	hasIO  bool
}

func take(sh *shared, ops func() int64) mark {
	var m mark
	runtime.ReadMemStats(&m.mem)
	m.calls, m.hasIO = ioCalls()
	m.hist = sh.hist.Snapshot()
	m.cpu, m.hasCPU = cpuTime()
	m.ops, m.at = ops(), time.Now()
	return m
}

// patience bounds how much longer than asked for is measured when nothing ends.
const patience = 30 * time.Second

// stream measures workers that go on without an end.
func (r *Result) stream(ctx context.Context, s *Spec, job *Job) error {
	sh := &shared{}
	meters := make([]Meter, len(job.Workers))
	ops := func() (n int64) {
		for i := range meters {
			n += meters[i].ops.Load()
		}
		return n
	}
	failed := make(chan error, len(job.Workers))
	var wg sync.WaitGroup
	for i, work := range job.Workers {
		// Each begins its sampling elsewhere.
		m := &meters[i]
		m.shared, m.sample, m.n = sh, s.Sample, i%s.Sample
		wg.Go(func() {
			if err := work(m); err != nil {
				failed <- err
			}
		})
	}
	defer func() { sh.stop.Store(true); wg.Wait() }()
	pause := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(d):
			return nil
		}
	}
	if err := pause(s.Warmup); err != nil {
		return err
	}
	end, err := profile(s.CPUProfile)
	if err != nil {
		return err
	}
	before := take(sh, ops)
	err = pause(s.Duration)
	after := take(sh, ops)
	for begin := time.Now(); err == nil && after.ops == before.ops && time.Since(begin) < patience; {
		err = pause(s.Duration) // the window is too short for one operation on this machine
		after = take(sh, ops)
	}
	end()
	if err != nil {
		return err
	}
	sh.stop.Store(true)
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	r.fill(before, after, after.at.Sub(before.at))
	r.Total = ops()
	return nil
}

// episodes measures one turn after another.
func (r *Result) episodes(ctx context.Context, s *Spec, job *Job) error {
	sh := &shared{}
	var all int64
	var busy time.Duration
	extra := map[string]time.Duration{}
	run := func(d time.Duration) (n int, err error) {
		for begin := time.Now(); n == 0 || time.Since(begin) < d; n++ {
			if ctx.Err() != nil {
				return n, context.Cause(ctx)
			}
			e, err := job.Episode()
			if err != nil {
				return n, err
			}
			all += int64(e.Ops)
			busy += e.Took
			sh.hist.Record(e.Took)
			for key, part := range e.Extra {
				extra[key] += part
			}
		}
		return n, nil
	}
	if _, err := run(s.Warmup); err != nil {
		return err
	}
	end, err := profile(s.CPUProfile)
	if err != nil {
		return err
	}
	before := take(sh, func() int64 { return all })
	busy = 0
	clear(extra)
	n, err := run(s.Duration)
	after := take(sh, func() int64 { return all })
	end()
	if err != nil {
		return err
	}
	r.fill(before, after, busy)
	r.Total = all
	r.Extra = map[string]float64{"episodes": float64(n)}
	for key, part := range extra {
		r.Extra[key+"_ms"] = part.Seconds() * 1e3 / float64(n)
	}
	return nil
}

// fill computes the figures between two marks.
func (r *Result) fill(before, after mark, took time.Duration) {
	r.Seconds = took.Seconds()
	r.Ops = after.ops - before.ops
	if r.Ops == 0 {
		return
	}
	r.Rate = float64(r.Ops) / r.Seconds
	per := func(total float64) *float64 { return new(total / float64(r.Ops)) }
	us := func(d time.Duration) *float64 { return new(float64(d.Nanoseconds()) / 1e3) }
	if hist := after.hist.Since(before.hist); hist.Count() > 0 {
		r.P50, r.P99, r.P999 = us(hist.Quantile(0.5)), us(hist.Quantile(0.99)), us(hist.Quantile(0.999))
	}
	if after.hasCPU {
		r.CPU = per(float64((after.cpu - before.cpu).Nanoseconds()) / 1e3)
	}
	if after.hasIO {
		r.Calls = per(float64(after.calls - before.calls))
	}
	r.Allocs = per(float64(after.mem.Mallocs - before.mem.Mallocs))
	r.AllocBytes = per(float64(after.mem.TotalAlloc - before.mem.TotalAlloc))
	if rss, ok := peakRSS(); ok {
		r.PeakRSS = new(rss)
	}
}

// profile writes a CPU profile to a file until end is called.
func profile(file string) (end func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}
