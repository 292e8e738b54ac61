package membership

import (
	"context"
	"fmt"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Member is one member of a group with data: Curator's GroupMember. Its znode is PATH/<id>, which should differ from
// member to member. It sees the other members by way of its [Roster]. Close it.
type Member struct {
	*PersistentNode
	id     string
	roster *Roster
}

// NewMember joins the group at path with an id and data, and follows its members. It returns at once:
// [PersistentNode.WaitCreated] waits for the own znode, and [Roster.WaitSynced] for the list. The options are those of
// the znode; those that change its mode or name are refused.
func NewMember(zk *gazoo.Client, path, id string, data []byte, opts ...Option) (*Member, error) {
	o, err := newOptions(opts)
	switch {
	case err != nil:
	case !o.ephemeral() || o.protected || o.sequential:
		err = &gazoo.ArgumentError{Arg: "option", Reason: "not for a group, whose znodes are ephemeral and named by their id"}
	case id == "" || strings.Contains(id, "/"):
		err = &gazoo.ArgumentError{Arg: "id", Reason: "not fit for the name of a znode"}
	}
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", path, err)
	}
	n, err := NewPersistentNode(zk, gazoo.JoinPath(path, id), data, opts...)
	if err != nil {
		return nil, err
	}
	r, err := NewRoster(zk, path)
	if err != nil {
		n.abandon()
		return nil, err
	}
	return &Member{PersistentNode: n, id: id, roster: r}, nil
}

// ID returns the member's id.
func (m *Member) ID() string { return m.id }

// Roster returns the group as this member sees it. It is closed with the member.
func (m *Member) Roster() *Roster { return m.roster }

// Members returns the data of the group's members by id, as they were read last. The own one is among them once the
// server has told of it.
func (m *Member) Members() map[string][]byte {
	members := make(map[string][]byte)
	for _, e := range m.roster.Entries() {
		members[e.Name] = e.Data
	}
	return members
}

// Close leaves the group as [PersistentNode.Close] does, and closes the roster.
func (m *Member) Close(ctx context.Context) error {
	m.roster.Close()
	return m.PersistentNode.Close(ctx)
}
