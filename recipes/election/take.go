package election

import (
	"context"
	"errors"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// grantPrefix marks a candidate's data as an offer: see [grant].
const grantPrefix = "__HANDOVER__/"

// grant is an offer, as it stands in the data of the candidate that may take it: the name of the leader's znode, and the
// data as it was.
type grant struct{ leader, identity string }

func (g grant) bytes() []byte { return []byte(grantPrefix + g.leader + "/" + g.identity) }

func parseGrant(data []byte) (grant, bool) {
	text, ok := strings.CutPrefix(string(data), grantPrefix)
	if !ok {
		return grant{}, false
	}
	leader, identity, ok := strings.Cut(text, "/")
	return grant{leader, identity}, ok
}

// granted is what a waiting candidate makes of its data: see [Leadership.HandOverTo].
func (e *Election) granted(ctx context.Context, entry *contend.Entry, data []byte, version int32) (bool, error) {
	g, ok := parseGrant(data)
	if !ok {
		return false, nil
	}
	if leader, ok := e.cfg.reader.Parse(g.leader); ok && contend.Compare(leader, entry.Contender) < 0 {
		taken, err := e.take(ctx, entry, leader)
		if taken || err != nil {
			return taken, err
		}
	}
	// The leader has gone meanwhile: back into the queue, under the old name. Another leader may have made another offer.
	_, err := entry.Client().Set(ctx, entry.Path, []byte(e.cfg.identity), version)
	if errors.Is(err, gazoo.ErrNoNode) || errors.Is(err, gazoo.ErrBadVersion) || retry.Passing(err) && ctx.Err() == nil {
		err = nil // the next look tells
	}
	return false, err
}

// take replaces the leader's znode and this candidate's by one at the leader's place. False says that the leader's has
// gone, or that this candidate may not replace it.
func (e *Election) take(ctx context.Context, entry *contend.Entry, leader contend.Contender) (bool, error) {
	zk := entry.Client()
	heir := owned.Node{GUID: owned.NewGUID(), Session: entry.Session}
	heir.Path = gazoo.JoinPath(e.path, e.cfg.style.NameAt(leader, heir.GUID, entry.Session.ID(), contend.Exclusive))
	opts := []gazoo.CreateOption{gazoo.Ephemeral()}
	if e.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(e.cfg.acl...))
	}
	doubt := false // whether a try may have been applied
	giveUp := func(err error) (bool, error) {
		if doubt {
			heir.Discard(e.zk)
		}
		return false, err
	}
	for {
		_, err := zk.Txn().
			Delete(gazoo.JoinPath(e.path, leader.Name), gazoo.AnyVersion).
			Delete(entry.Path, gazoo.AnyVersion).
			Create(heir.Path, []byte(e.cfg.identity), opts...).
			Commit(ctx)
		doubt = doubt || err == nil || gazoo.MaybeApplied(err)
		_, refused := errors.AsType[*gazoo.TxnError](err)
		switch {
		case refused && !doubt:
			return false, nil
		case err != nil && !refused && (ctx.Err() != nil || !retry.Passing(err)):
			return giveUp(err)
		}
		// The stat of a create in a transaction does not come from every server; and the answer may be lost. A refusal
		// tells as much: the server that gave it knows of the try before, so it knows the znode.
		stat, found, looked := zk.Exists(ctx, heir.Path)
		switch {
		case looked == nil && found && stat.EphemeralOwner == entry.Session.ID():
			entry.Replace(heir.Path, heir.GUID, stat.Czxid)
			return true, nil
		case looked == nil && (err == nil || refused):
			return giveUp(nil) // made and deleted by others since, or never made
		case looked != nil && (ctx.Err() != nil || !retry.Passing(looked)):
			return giveUp(looked)
		}
	}
}
