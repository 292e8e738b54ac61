package basic

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Pipeline submits bursts of writes and reads without waiting for answers. Results come in the order of submission, reads
// see what was submitted before them, zxids never go backwards, also from one server to the next. When the connection is
// lost, what was certain is: refused ones are never done, acknowledged ones are; and of those in flight together none is
// done without the ones before it.
func Pipeline() *program.Program {
	return &program.Program{
		Name: "pipeline", Setup: made("/shared"), Client: pipelineClient, Final: pipelineFinal, Check: checkPipeline,
	}
}

// The kinds of operations. The client's directory belongs to it alone, and to one run of it: nothing that an earlier one
// has left on its way can disturb.
const (
	pipeCreate = "create"     // a znode of its own, in the directory
	pipeSet    = "set"        // the directory's data, to its number
	pipeGet    = "get"        // the directory's data
	pipeShare  = "set shared" // a znode that all write
	pipeShared = "get shared"
)

// What the operations note. The Key is the directory.
type (
	pipeIn struct {
		N int `json:"n"` // counts the operations of the run
	}
	pipeOut struct {
		Done  int64  `json:"d"`           // counts the results of the run
		Zxid  int64  `json:"z"`           // of the write, or of what was read
		Value string `json:"v,omitempty"` // of a get
	}
	// pipeBurst is noted of each burst: From is the number of its first operation, and of each one which earlier ones
	// were certainly in flight together with it.
	pipeBurst struct {
		From  int   `json:"f"`
		First []int `json:"w"`
		Last  int64 `json:"z"` // the client's newest zxid before the burst
	}
	// pipeEnd is a directory as it is in the end.
	pipeEnd struct {
		Value string   `json:"v"`
		Names []string `json:"n"`
	}
)

func pipelineClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	// What is in flight at the end fails by the close.
	defer func() { <-zk.Done() }()
	defer zk.CloseNow()
	defer context.AfterFunc(ctx, func() { zk.CloseNow() })()
	dir := fmt.Sprintf("/run-%d.%d", e.Client, e.Run)
	for {
		op, cancel := context.WithTimeout(ctx, call)
		_, err := zk.EnsurePath(op, dir)
		cancel()
		if err == nil {
			break
		}
		if !e.Pause(ctx, time.Second) {
			return nil
		}
	}
	p := &pipe{e: e, zk: zk, dir: dir}
	for e.Pause(ctx, time.Second) {
		p.burst(ctx, 2+e.Rand.IntN(12))
	}
	return nil
}

// pipe is the client of one run.
type pipe struct {
	e    *program.Env
	zk   *gazoo.Client
	dir  string
	n    int   // operations begun
	done int64 // results, counted on the client's goroutine for callbacks
}

func (p *pipe) burst(ctx context.Context, n int) {
	note := pipeBurst{From: p.n, Last: p.zk.LastZxid()}
	var flying []func() bool // has it a result
	var results sync.WaitGroup
	for range n {
		results.Add(1)
		flying = append(flying, p.submit(ctx, results.Done))
		// A lost connection shows in the state before any call fails. So whatever has no result now, while the state is
		// well, is on the same connection as the last one.
		first := len(flying) - 1
		if p.zk.State() == gazoo.StateConnected {
			for first > 0 && !flying[first-1]() {
				first--
			}
		}
		note.First = append(note.First, note.From+first)
		if p.e.Rand.IntN(8) == 0 && !p.e.Pause(ctx, 20*time.Millisecond) {
			break
		}
	}
	p.e.Note("burst", p.dir, note)
	results.Wait()
}

func (p *pipe) submit(ctx context.Context, end func()) (ready func() bool) {
	async, number := p.zk.Async(), p.n
	p.n++
	begin := func(kind string) *history.Pending { return p.e.Begin(kind, p.dir, pipeIn{number}) }
	data := []byte(strconv.Itoa(number))
	switch p.e.Rand.IntN(6) {
	case 0, 1:
		op := begin(pipeCreate)
		return watchResult(async.CreateStat(ctx, fmt.Sprintf("%s/%d", p.dir, number), nil), func(c gazoo.Created, err error) {
			p.end(op, pipeOut{Zxid: c.Stat.Czxid}, err)
			end()
		})
	case 2:
		op := begin(pipeSet)
		return watchResult(async.Set(ctx, p.dir, data, gazoo.AnyVersion), func(stat gazoo.Stat, err error) {
			p.end(op, pipeOut{Zxid: stat.Mzxid}, err)
			end()
		})
	case 3:
		op := begin(pipeShare)
		return watchResult(async.Set(ctx, "/shared", data, gazoo.AnyVersion), func(stat gazoo.Stat, err error) {
			p.end(op, pipeOut{Zxid: stat.Mzxid}, err)
			end()
		})
	case 4:
		op := begin(pipeShared)
		return watchResult(async.Get(ctx, "/shared"), func(node gazoo.Node, err error) {
			p.end(op, pipeOut{Zxid: node.Stat.Mzxid}, err)
			end()
		})
	default:
		op := begin(pipeGet)
		return watchResult(async.Get(ctx, p.dir), func(node gazoo.Node, err error) {
			p.end(op, pipeOut{Zxid: node.Stat.Mzxid, Value: string(node.Data)}, err)
			end()
		})
	}
}

func watchResult[T any](f gazoo.Future[T], then func(T, error)) (ready func() bool) {
	f.Then(then)
	return f.Ready
}

func (p *pipe) end(op *history.Pending, out pipeOut, err error) {
	p.done++
	out.Done = p.done
	op.End(out, err)
}

func pipelineFinal(ctx context.Context, e *program.Env) error {
	zk, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	dirs := map[string]string{}
	err = readAll(ctx, zk, "/", func(name, data string, _ gazoo.Stat) {
		if strings.HasPrefix(name, "run-") {
			dirs["/"+name] = data
		}
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		p := e.Begin("final", dir, nil)
		names, err := zk.Children(ctx, dir)
		if p.End(pipeEnd{dirs[dir], names}, err) != nil {
			return err
		}
	}
	return nil
}

func checkPipeline(ops []history.Op) (bad []program.Violation) {
	type run struct {
		ops    []*history.Op // by number
		bursts []pipeBurst
		end    *pipeEnd
	}
	runs := map[string]*run{}
	for i := range ops {
		op := &ops[i]
		r := runs[op.Key]
		if r == nil {
			r = &run{}
			runs[op.Key] = r
		}
		switch op.Kind {
		case "burst":
			r.bursts = append(r.bursts, history.Decode[pipeBurst](op.Out))
		case "final":
			if op.Outcome == history.OK {
				end := history.Decode[pipeEnd](op.Out)
				r.end = &end
			}
		default:
			n := history.Decode[pipeIn](op.In).N
			for len(r.ops) <= n {
				r.ops = append(r.ops, nil)
			}
			r.ops[n] = op
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(runs)) {
		r := runs[dir]
		bad = append(bad, inOrder(r.ops, r.bursts)...)
		bad = append(bad, ownWrites(r.ops, r.end)...)
		if r.end != nil {
			bad = append(bad, certain(r.ops, r.bursts, r.end.Names)...)
		}
	}
	return bad
}

// inOrder checks the order of results and zxids.
func inOrder(ops []*history.Op, bursts []pipeBurst) (bad []program.Violation) {
	var before, wrote, shared *history.Op
	out := func(op *history.Op) pipeOut {
		if op == nil {
			return pipeOut{}
		}
		return history.Decode[pipeOut](op.Out)
	}
	for _, op := range ops {
		if op == nil || op.Outcome != history.OK {
			continue
		}
		if out(op).Done <= out(before).Done {
			bad = append(bad, program.Violated("results in order", "%v, behind %v", *op, *before))
		}
		before = op
		if op.Kind == pipeShare || op.Kind == pipeShared {
			if out(op).Zxid < out(shared).Zxid {
				bad = append(bad, program.Violated("never backwards", "%v, behind %v", *op, *shared))
			}
			shared = op
		}
		if op.Kind == pipeCreate || op.Kind == pipeSet || op.Kind == pipeShare {
			if out(op).Zxid <= out(wrote).Zxid {
				bad = append(bad, program.Violated("never backwards", "%v, behind %v", *op, *wrote))
			}
			wrote = op
		}
	}
	for i := 1; i < len(bursts); i++ {
		if bursts[i].Last < bursts[i-1].Last {
			bad = append(bad, program.Violated("never backwards", "%x is the client's newest zxid, and was %x", bursts[i].Last, bursts[i-1].Last))
		}
	}
	return bad
}

// ownWrites checks that reads see the newest of the run's own writes before them: the last that was acknowledged, or one
// behind it that may have been done. What was read once is not unread.
func ownWrites(ops []*history.Op, end *pipeEnd) (bad []program.Violation) {
	least := -1
	possible := map[int]bool{-1: true} // -1 is the directory's first data
	read := func(value string, what string) {
		n := -1
		if value != "" {
			n, _ = strconv.Atoi(value)
		}
		if !possible[n] || n < least {
			bad = append(bad, program.Violated("reads see own writes", "%d, when it is %d at least: %s", n, least, what))
			return
		}
		least = n
	}
	for n, op := range ops {
		switch {
		case op == nil:
		case op.Kind == pipeSet && op.Outcome == history.OK:
			least = n
			possible[n] = true
		case op.Kind == pipeSet && op.Outcome == history.Maybe:
			possible[n] = true
		case op.Kind == pipeGet && op.Outcome == history.OK:
			read(history.Decode[pipeOut](op.Out).Value, op.String())
		}
	}
	if end != nil {
		read(end.Value, "the final look")
	}
	return bad
}

// certain checks which creates were done.
func certain(ops []*history.Op, bursts []pipeBurst, names []string) (bad []program.Violation) {
	there := map[int]bool{}
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || n >= len(ops) || ops[n] == nil || ops[n].Kind != pipeCreate {
			bad = append(bad, program.Violated("somebody made it", "%s", name))
			continue
		}
		there[n] = true
		if ops[n].Outcome == history.Refused {
			bad = append(bad, program.Violated("refused is not done", "%v", *ops[n]))
		}
	}
	created := func(n int) bool { return n < len(ops) && ops[n] != nil && ops[n].Kind == pipeCreate }
	for n := range ops {
		if created(n) && ops[n].Outcome == history.OK && !there[n] {
			bad = append(bad, program.Violated("acknowledged is done", "%v", *ops[n]))
		}
	}
	for _, burst := range bursts {
		for i, first := range burst.First {
			n := burst.From + i
			if !there[n] {
				continue
			}
			for before := first; before < n; before++ {
				if created(before) && !there[before] {
					bad = append(bad, program.Violated("none without those before", "%v is not done, and behind it in flight is %v", *ops[before], *ops[n]))
				}
			}
		}
	}
	return bad
}
