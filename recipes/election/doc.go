// Package election chooses one leader among programs.
//
//	e, err := election.New(zk, "/election/scheduler", election.WithIdentity("host-1"))
//	err = e.Run(ctx, func(ctx context.Context, l *election.Leadership) error {
//		return schedule(ctx) // ctx ends as soon as the leadership is in doubt
//	})
//
// [Election.Run] runs a function while this candidate leads; [Election.Campaign] returns the leadership as a handle;
// a [Latch] campaigns in the background, again after every loss, until it is closed. [Election.Observe] follows who leads
// without taking part.
//
// # Guarantees
//
// At most one [Leadership] of a path is alive at any time, with what package tenure says about clocks, paused processes
// and ensembles that are split: its context ends before a server can let anybody else lead, Err reads the clock, the token
// only grows, and writes made through Leadership.Txn are refused once it is over. [WithQuorum] covers ensembles whose
// servers are cut off from each other.
//
// Who leads is decided from a fresh list of the candidates, in the session that owns this one's znode, and never from an
// event. A candidate whose old znode is still there behind the end of its session is not leader: it waits until that has
// gone, like everybody else. Candidates lead in the order in which they came, except by a hand-over; each waits for one
// other znode, so a change wakes one candidate.
//
// A leader whose session ends, or whose znode is deleted by somebody, stops leading: as soon as it hears of it, and in the
// case of the session before its successor can begin. A [Latch], and Run with [WithRequeue], then queue again at the end.
// When the path itself is deleted it is made again.
//
// The token is the zxid of the newest change among the candidates when this one was seen to be first, or of the hand-over
// that made it so. So it also grows over hand-overs, though these change the order of the znodes' own zxids.
//
// # What is not guaranteed
//
// A leader that does not look at its context may act after its time: writes outside of ZooKeeper need the token. So may one
// whose znode an operator has deleted, until it hears of that. For some moments, at most until a session has expired,
// nobody may lead, and a hand-over that fails takes no longer.
//
// # Hand-over
//
// [Leadership.HandOver] gives the leadership to a named candidate, whatever its place in the queue. The leader ends its own
// leadership first and marks the candidate's znode; the candidate then replaces the leader's znode by one of its own with
// the same number, in one transaction, so that nobody gets in between, and candidates of other libraries wait for it as
// they did for the leader. A candidate that does not take it, because it has died or belongs to another library, changes
// nothing but that the leader has resigned, at the latest behind the session time-out. Candidates need the permission to
// write each other's znodes for it, and to delete them.
//
// # Znodes and other libraries
//
// The path is a container znode, made when it is missing; candidates are ephemeral sequential children, with the identity
// as data. While a hand-over is offered, the data of the candidate is __HANDOVER__/ZNODE/IDENTITY. How candidates are named
// is a matter of [Style], since no name suits all; those of other libraries are understood whatever the style, and other
// children are ignored. Whose candidates wait for this one depends on the style:
//
//	style           waits for this one
//	Kazoo           Kazoo's Election, go-zookeeper/zk's lock
//	Curator         Curator's LeaderSelector, go-zookeeper/zk's lock
//	CuratorLatch    Curator's LeaderLatch
//
// ZooKeeper's own election recipe is waited for, but waits for nobody here: its names, n_ and the number, have no room for
// what tells one's own znode after a lost answer.
package election
