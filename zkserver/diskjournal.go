package zkserver

import (
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// diskJournal is the journal in a data directory.
type diskJournal struct {
	dir     *zkdisk.Dir
	flushes chan func(error) // the flusher's work; closed by Close
	wg      sync.WaitGroup   // waits for the flusher

	// Owned by the engine.
	refused error // why a transaction could not be appended

	// When the next snapshot is due, in transactions and bytes of log since the last one.
	snapCount, count, countDue int
	snapSize, start, sizeDue   int64
}

func newDiskJournal(d *zkdisk.Dir, c *config, rec *zkdisk.Recovery) *diskJournal {
	j := &diskJournal{dir: d, flushes: make(chan func(error), 1), snapCount: c.disk.snapCount, snapSize: c.disk.snapSize}
	j.restart()
	// What was replayed will have to be replayed again.
	j.count, j.start = rec.Transactions, -rec.Bytes
	j.wg.Go(j.flusher)
	return j
}

// flusher is the goroutine that waits for the disk.
func (j *diskJournal) flusher() {
	for done := range j.flushes {
		done(j.dir.Flush())
	}
}

// Append takes a transaction. What the directory refuses, the next flush reports.
func (j *diskJournal) Append(txn ztree.Txn) {
	j.count++
	if j.refused == nil {
		j.refused = j.dir.Append(&txn)
	}
}

// Flush lets the flusher make everything safe.
func (j *diskJournal) Flush(done func(error)) {
	if refused := j.refused; refused != nil {
		j.flushes <- func(err error) { done(errors.Join(err, refused)) }
		return
	}
	j.flushes <- done
}

// Close ends the flusher and releases the directory.
func (j *diskJournal) Close() error {
	close(j.flushes)
	j.wg.Wait()
	return j.dir.Close()
}

// snapshotDue reports whether there is enough behind the last snapshot for the next: at least half
// as many transactions as there are znodes, or a busy server with a large tree would do little
// else than write it.
func (j *diskJournal) snapshotDue(znodes int) bool {
	return j.count > 0 && j.refused == nil &&
		(j.count >= max(j.countDue, znodes/2) || j.dir.Appended()-j.start >= j.sizeDue)
}

// beginSnapshot makes the file for a snapshot of the tree as it is.
func (j *diskJournal) beginSnapshot(s *ztree.Snapshot) (*zkdisk.SnapshotFile, error) {
	j.restart()
	return j.dir.BeginSnapshot(s)
}

func (j *diskJournal) broken() error { return j.dir.Err() }

// restart counts anew. Chance keeps servers that were started together from all writing their
// snapshots at the same time.
func (j *diskJournal) restart() {
	j.count, j.start = 0, j.dir.Appended()
	j.countDue = j.snapCount/2 + rand.IntN(j.snapCount/2+1)
	j.sizeDue = j.snapSize/2 + rand.Int64N(j.snapSize/2+1)
}
