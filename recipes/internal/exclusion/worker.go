package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/gazoo-zk/gazoo"
)

// workerVariable makes this program, or the test of it, a worker process.
const workerVariable = "GAZOO_EXCLUSION_WORKER"

func isWorker() bool { return os.Getenv(workerVariable) != "" }

// work is a worker process: it does what it reads until there is no more, and returns its exit code.
func work() int {
	w := &worker{out: bufio.NewWriter(os.Stdout)}
	if err := w.run(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "exclusion worker:", err)
		return 1
	}
	return 0
}

// worker has a number of contenders, each with a client of its own.
type worker struct {
	contenders []*contender

	mu  sync.Mutex // guards out
	out *bufio.Writer

	ctx  context.Context // of the part that runs
	stop context.CancelFunc
	busy sync.WaitGroup // contenders in the part
	side sync.WaitGroup // what they look after on the side
}

func (w *worker) run(in io.Reader) error {
	orders := json.NewDecoder(in)
	var a assignment
	if err := orders.Decode(&a); err != nil {
		return err
	}
	for i, hosts := range a.Hosts {
		zk, err := gazoo.Connect(context.Background(), hosts, gazoo.WithSessionTimeout(a.Session))
		if err != nil {
			return err
		}
		defer zk.CloseNow()
		w.contenders = append(w.contenders, newContender(w, a.First+i, zk, a))
	}
	w.say(event{Kind: evReady, Contender: a.First})
	w.ctx, w.stop = context.WithCancel(context.Background())
	defer func() { w.stop(); w.busy.Wait(); w.side.Wait() }()
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch o.Do {
		case doStart:
			w.ctx, w.stop = context.WithCancel(context.Background())
			for _, c := range w.contenders {
				w.busy.Go(func() { c.contend(w.ctx, o.Part) })
			}
		case doKeep:
			w.contenders[o.Contender-a.First].keep(o.Hold, o.For)
		case doStop:
			w.stop()
			w.busy.Wait()
			w.say(event{Kind: evFinished, Contender: a.First})
		}
	}
}

// say reports an event at once.
func (w *worker) say(e event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // events are plain data
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Write(append(line, '\n'))
	w.out.Flush() // without a reader there is nobody to tell: the process ends with the one that started it
}
