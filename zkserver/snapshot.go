package zkserver

import (
	"time"

	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// snapshots is what a journal that writes snapshots does beside.
type snapshots interface {
	snapshotDue(znodes int) bool
	beginSnapshot(*ztree.Snapshot) (*zkdisk.SnapshotFile, error)
	broken() error // why nothing can be written any more
}

// saver writes snapshots while requests go on. The engine hands the tree over in slices, each as
// the writer asks for it, so it never works for long, and never has much ready that waits for the
// disk.
type saver struct {
	srv *Server
	to  snapshots // nil without a directory

	// Of the snapshot under way.
	job     *saveJob
	snap    *ztree.Snapshot // nil when all of it was handed over
	longest time.Duration   // that a slice took
}

// saveJob is the goroutine that writes a snapshot.
type saveJob struct {
	srv       *Server
	file      *zkdisk.SnapshotFile
	zxid      int64
	slices    chan []ztree.NodeRecord // closed behind the last one, or when the snapshot is given up
	abandoned bool                    // it is given up; written before slices is closed
	done      chan struct{}           // closed when the goroutine is through

	complete bool // slices is closed; owned by the engine
}

// What is handed over at once: so many znodes, if that takes no longer.
const (
	slice     = 512
	sliceTime = 300 * time.Microsecond
)

func (v *saver) init(s *Server, j journal) {
	v.srv = s
	v.to, _ = j.(snapshots)
}

// save begins a snapshot when it is time, at the end of a batch.
func (e *engine) save() {
	v := &e.saver
	if v.to == nil || v.job != nil || e.failed || !v.to.snapshotDue(e.tree.Len()) {
		return
	}
	begin := time.Now()
	snap := e.tree.Snapshot()
	file, err := v.to.beginSnapshot(snap)
	if err != nil {
		snap.Stop()
		e.srv.cfg.logger.Error("snapshot failed", "err", err)
		return
	}
	v.snap = snap
	v.job = &saveJob{
		srv: e.srv, file: file, zxid: snap.Zxid,
		slices: make(chan []ztree.NodeRecord, 1), done: make(chan struct{}),
	}
	v.longest = time.Since(begin)
	e.srv.wg.Go(v.job.run)
}

// run asks for slices and writes them.
func (j *saveJob) run() {
	defer close(j.done)
	begin, count := time.Now(), 0
	var buf []ztree.NodeRecord
	for {
		j.srv.in.post(request{kind: kindDo, do: func(e *engine) { e.saver.hand(j, buf[:0], e.durable) }})
		nodes, more := <-j.slices
		if !more {
			break
		}
		for i := range nodes {
			j.file.Write(nodes[i])
		}
		count += len(nodes)
		clear(nodes)
		buf = nodes
	}
	if j.abandoned {
		j.file.Abort()
		return
	}
	err := j.file.Commit()
	took := time.Since(begin)
	j.srv.in.post(request{kind: kindDo, do: func(e *engine) { e.saved(j, count, took, err) }})
}

// hand answers the writer.
func (v *saver) hand(j *saveJob, buf []ztree.NodeRecord, durable int64) {
	if v.job != j || j.complete {
		return
	}
	if v.snap == nil {
		v.durable(durable)
		return
	}
	begin := time.Now()
	for more := true; more && len(buf) < slice && time.Since(begin) < sliceTime; {
		if buf, more = v.snap.Take(buf, 32); !more {
			v.snap = nil
		}
	}
	v.longest = max(v.longest, time.Since(begin))
	j.slices <- buf
}

// durable lets the writer finish when the snapshot is complete, and the log reaches as far.
func (v *saver) durable(zxid int64) {
	if v.job != nil && v.snap == nil && !v.job.complete && zxid >= v.job.zxid {
		v.job.complete = true
		close(v.job.slices)
	}
}

// saved is told of the end of a snapshot.
func (e *engine) saved(j *saveJob, count int, took time.Duration, err error) {
	v := &e.saver
	v.job = nil
	log := e.srv.cfg.logger
	if err != nil {
		log.Error("snapshot failed", "zxid", j.zxid, "err", err)
		if err := v.to.broken(); err != nil && !e.failed {
			e.fail(err)
		}
		return
	}
	log.Info("snapshot written", "zxid", j.zxid, "znodes", count, "took", took, "longest_pause", v.longest)
}

// stop gives up the snapshot under way, unless it is complete already, and waits for its writer.
func (v *saver) stop() {
	if v.job == nil {
		return
	}
	if v.snap != nil {
		v.snap.Stop()
		v.snap = nil
	}
	if !v.job.complete {
		v.job.complete, v.job.abandoned = true, true
		close(v.job.slices)
	}
	<-v.job.done
	v.job = nil
}
