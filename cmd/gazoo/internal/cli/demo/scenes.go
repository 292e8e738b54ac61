package demo

import (
	"context"
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

var scenes = []scene{
	{"connect", (*stage).connect},
	{"create and read", (*stage).create},
	{"watch", (*stage).watch},
	{"transaction", (*stage).transaction},
	{"lose the connection, keep the session", (*stage).reconnect},
	{"clean up", (*stage).leave},
}

func (s *stage) connect(ctx context.Context) error {
	opts, err := s.env.Options.ClientOptions()
	if err != nil {
		return err
	}
	if s.witness, err = env.Dial(ctx, s.hosts, opts...); err != nil {
		return err
	}
	if s.whole, err = env.Dial(ctx, s.hosts, append(opts, gazoo.WithDialer(s.proxies.dial))...); err != nil {
		return err
	}
	if err := expect(s.whole.State() == gazoo.StateConnected, "state is %v, want connected", s.whole.State()); err != nil {
		return err
	}
	s.say("connected to %s (through a proxy inside this command)", s.whole.Server())
	s.say("%v, time-out %v granted by the server", s.whole.Session(), s.whole.SessionTimeout())
	return nil
}

func (s *stage) create(ctx context.Context) (err error) {
	if s.home, err = s.whole.Create(ctx, "/gazoo-demo-", nil, gazoo.Sequential()); err != nil {
		return err
	}
	if s.zk, err = s.whole.Chroot(s.home); err != nil {
		return err
	}
	if s.other, err = s.witness.Chroot(s.home); err != nil {
		return err
	}
	s.say("created %s; everything happens below it", s.home)
	if _, err := s.zk.Create(ctx, "/config/rate", []byte("10"), gazoo.Parents()); err != nil {
		return err
	}
	data, stat, err := s.zk.Get(ctx, "/config/rate")
	if err != nil {
		return err
	}
	if err := expect(string(data) == "10" && stat.Version == 0, "read %q, version %d; want %q, version 0", data, stat.Version, "10"); err != nil {
		return err
	}
	s.say("created /config/rate with its parent and read it back: %q, version %d", data, stat.Version)
	_, err = s.zk.Create(ctx, "/config/rate", nil)
	if err := expect(errors.Is(err, gazoo.ErrNodeExists), "a second create gave %v, want %v", err, gazoo.ErrNodeExists); err != nil {
		return err
	}
	s.say("creating it again is refused: %v", gazoo.ErrNodeExists)
	return nil
}

func (s *stage) watch(ctx context.Context) (err error) {
	if s.stream, err = s.zk.Watch(ctx, "/", gazoo.Recursive()); err != nil {
		return err
	}
	s.say("watching everything below %s", s.home)
	if _, err := s.other.Set(ctx, "/config/rate", []byte("20"), 0); err != nil {
		return err
	}
	s.say("another client set /config/rate to %q", "20")
	return s.event(ctx, gazoo.EventDataChanged, "/config/rate")
}

// event waits for the next event and expects it to be this one.
func (s *stage) event(ctx context.Context, kind gazoo.EventType, path string) error {
	ev, err := s.stream.Next(ctx)
	if err != nil {
		return err
	}
	if err := expect(ev.Type == kind && ev.Path == path, "event is %v %s, want %v %s", ev.Type, ev.Path, kind, path); err != nil {
		return err
	}
	s.say("event: %v %s", ev.Type, ev.Path)
	return nil
}

func (s *stage) transaction(ctx context.Context) error {
	if _, err := s.zk.Txn().Check("/config/rate", 1).Set("/config/rate", []byte("30"), 1).Create("/config/burst", []byte("5")).Commit(ctx); err != nil {
		return err
	}
	s.say("checked, set and created in one transaction, all or nothing")
	if err := s.event(ctx, gazoo.EventDataChanged, "/config/rate"); err != nil {
		return err
	}
	if err := s.event(ctx, gazoo.EventCreated, "/config/burst"); err != nil {
		return err
	}
	_, err := s.zk.Txn().Create("/config/half", nil).Set("/config/rate", []byte("40"), 1).Commit(ctx)
	failed, ok := errors.AsType[*gazoo.TxnError](err)
	if err := expect(ok && failed.Index == 1 && failed.Code == gazoo.ErrBadVersion, "the transaction with a stale version gave %v", err); err != nil {
		return err
	}
	_, found, err := s.zk.Exists(ctx, "/config/half")
	if err != nil {
		return err
	}
	if err := expect(!found, "the failed transaction has left /config/half behind"); err != nil {
		return err
	}
	s.say("one with a stale version was refused as a whole: %v", failed)
	return nil
}

func (s *stage) reconnect(ctx context.Context) error {
	session := s.whole.Session()
	if err := expect(session != nil && session.Err() == nil, "there is no session"); err != nil {
		return err
	}
	if _, err := s.zk.Create(ctx, "/alive", nil, gazoo.Ephemeral()); err != nil {
		return err
	}
	if err := s.event(ctx, gazoo.EventCreated, "/alive"); err != nil {
		return err
	}
	s.say("created the ephemeral znode /alive")

	cut := time.Now()
	s.proxies.cut()
	if err := s.whole.WaitState(ctx, gazoo.StateSuspended); err != nil {
		return err
	}
	s.say("the proxy has cut the connection: state %v", gazoo.StateSuspended)
	if _, err := s.other.Set(ctx, "/config/rate", []byte("50"), gazoo.AnyVersion); err != nil {
		return err
	}
	s.say("meanwhile another client set /config/rate to %q", "50")

	s.proxies.mend()
	if err := s.whole.WaitState(ctx, gazoo.StateConnected); err != nil {
		return err
	}
	s.say("connected again after %v", time.Since(cut).Round(time.Millisecond))
	if err := expect(s.whole.Session() == session && session.Err() == nil, "the session has changed from %v to %v", session, s.whole.Session()); err != nil {
		return err
	}
	stat, found, err := s.seen(ctx, "/alive")
	if err != nil {
		return err
	}
	if err := expect(found && stat.EphemeralOwner == session.ID(), "/alive is gone"); err != nil {
		return err
	}
	s.say("still %v, and /alive is still there", session)
	return s.gap(ctx)
}

// seen asks through the other client, whose server may be behind the leader and has to catch up.
func (s *stage) seen(ctx context.Context, path string) (gazoo.Stat, bool, error) {
	if err := s.other.Sync(ctx, "/"); err != nil {
		return gazoo.Stat{}, false, err
	}
	return s.other.Exists(ctx, path)
}

// gap expects the stream to say that it may have missed something, and makes up for it.
func (s *stage) gap(ctx context.Context) error {
	ev, err := s.stream.Next(ctx)
	if err != nil {
		return err
	}
	if err := expect(ev.Gap == gazoo.GapReconnect, "the watch gave %v %s %v, want the gap", ev.Type, ev.Path, ev.Gap); err != nil {
		return err
	}
	s.say("the watch says that events may be missing (%v), so look again", ev.Gap)
	if err := s.zk.Sync(ctx, "/"); err != nil {
		return err
	}
	data, _, err := s.zk.Get(ctx, "/config/rate")
	if err != nil {
		return err
	}
	if err := expect(string(data) == "50", "/config/rate is %q, want %q", data, "50"); err != nil {
		return err
	}
	s.say("/config/rate is %q: nothing was missed", data)
	return nil
}

func (s *stage) leave(ctx context.Context) error {
	s.stream.Close()
	if err := s.whole.CloseContext(ctx); err != nil {
		return err
	}
	s.say("closed the session")
	_, found, err := s.seen(ctx, "/alive")
	if err != nil {
		return err
	}
	if err := expect(!found, "/alive has outlived its session"); err != nil {
		return err
	}
	s.say("/alive went with it")
	home := s.home
	if err := s.witness.DeleteRecursive(ctx, home, nil); err != nil {
		return err
	}
	s.home = ""
	s.say("deleted %s", home)
	return nil
}
