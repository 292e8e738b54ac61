package serve

import (
	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// diskOptions say where everything is kept.
type diskOptions struct {
	dir, from          string
	snapCount, retain  int
	snapSize, prealloc int64
}

func (o *diskOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "data directory, as an Apache server's dataDir; without it everything is in memory")
	f.StringVar(&o.from, "snapshot-from", "", "begin with the state of another data directory, which is only read")
	f.IntVar(&o.snapCount, "snap-count", 100_000, "transactions after which a snapshot is written, at most")
	f.Int64Var(&o.snapSize, "snap-size", 4<<30, "bytes of log after which a snapshot is written, at most")
	f.IntVar(&o.retain, "retain", 3, "snapshots that are kept; 0 is all of them")
	f.Int64Var(&o.prealloc, "prealloc", 64<<20, "bytes by which a log grows ahead of what is written to it")
}

func (o *diskOptions) server() []zkserver.Option {
	opts := []zkserver.Option{
		zkserver.WithSnapCount(o.snapCount), zkserver.WithSnapSize(o.snapSize),
		zkserver.WithSnapRetain(o.retain), zkserver.WithPreAllocSize(o.prealloc),
	}
	if o.dir != "" {
		opts = append(opts, zkserver.WithDir(o.dir))
	}
	if o.from != "" {
		opts = append(opts, zkserver.WithSnapshotFrom(o.from))
	}
	return opts
}

// ended explains why a server has stopped by itself: its directory failed.
func ended(srv *zkserver.Server) error {
	err := srv.Err()
	return exit.Explain(err, "stopped serving: %v", err)
}
