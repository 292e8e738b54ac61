package gazoo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Reconfiguration asks for a change of the ensemble's members. Either Joining and Leaving
// (incremental) or Members (the whole new list) is given.
type Reconfiguration struct {
	Joining []string // "server.4=host:2888:3888:participant;2181"
	Leaving []string // server ids
	Members []string // like Joining
	Version int64    // configuration version required, AnyConfig for any
}

// AnyConfig as the version of a Reconfiguration matches every version.
const AnyConfig int64 = -1

func (zk *Client) newReconfig(ch Reconfiguration) (*call, error) {
	cl := zk.core.newCall(zkproto.OpReconfig, "reconfig", "")
	cl.write = true
	cl.req.record = zkproto.ReconfigRequest{
		Joining:    strings.Join(ch.Joining, ","),
		Leaving:    strings.Join(ch.Leaving, ","),
		NewMembers: strings.Join(ch.Members, ","),
		ConfigID:   ch.Version,
	}
	incremental := len(ch.Joining)+len(ch.Leaving) > 0
	switch {
	case !incremental && len(ch.Members) == 0:
		return cl, badArg("reconfiguration", "nobody joins, leaves or is a member")
	case incremental && len(ch.Members) > 0:
		return cl, badArg("reconfiguration", "Members excludes Joining and Leaving")
	case ch.Version < AnyConfig:
		return cl, badArg("reconfiguration", "version %d is negative", ch.Version)
	}
	return cl, nil
}

// Reconfig changes the ensemble's members and returns the new configuration as the servers
// keep it, with its stat; [ParseEnsembleConfig] takes it apart.
//
// Errors: [ErrReconfigDisabled], [ErrUnimplemented] (standalone server), [ErrBadVersion],
// [ErrNewConfigNoQuorum], [ErrReconfigInProgress], [ErrNoAuth]. After [ErrConnectionLoss] it
// may have been applied.
func (zk *Client) Reconfig(ctx context.Context, change Reconfiguration) ([]byte, Stat, error) {
	cl, err := zk.newReconfig(change)
	if err := zk.run(ctx, cl, err); err != nil {
		return nil, Stat{}, err
	}
	data, stat := cl.data, cl.stat
	cl.release()
	return data, stat, nil
}

// EnsembleConfig is the ensemble's configuration as its servers keep it.
type EnsembleConfig struct {
	Version int64
	Members []Member
	Text    string // as stored; empty on a standalone server
}

// Member is one server of an ensemble.
type Member struct {
	ID       int64
	Quorum   []string // host:quorumport:electionport, several for multi-address servers
	Observer bool
	Client   string // host:port for clients; empty when not stated. The host may be 0.0.0.0
}

const configPath = "/zookeeper/config"

// EnsembleConfig reads the ensemble's configuration; on a standalone server it has no members.
// The znode lies outside every chroot, which does not matter here.
func (zk *Client) EnsembleConfig(ctx context.Context) (EnsembleConfig, Stat, error) {
	whole := &Client{core: zk.core, session: zk.session}
	data, stat, err := whole.Get(ctx, configPath)
	if err != nil {
		return EnsembleConfig{}, stat, err
	}
	cfg, err := ParseEnsembleConfig(string(data))
	return cfg, stat, err
}

// EnsembleConfigW is EnsembleConfig with a watch on it.
func (zk *Client) EnsembleConfigW(ctx context.Context) (EnsembleConfig, Stat, *Watch, error) {
	whole := &Client{core: zk.core, session: zk.session}
	data, stat, w, err := whole.GetW(ctx, configPath)
	if err != nil {
		return EnsembleConfig{}, stat, nil, err
	}
	cfg, err := ParseEnsembleConfig(string(data))
	return cfg, stat, w, err
}

// ParseEnsembleConfig reads the text of /zookeeper/config.
func ParseEnsembleConfig(text string) (EnsembleConfig, error) {
	cfg := EnsembleConfig{Text: text}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		switch {
		case line == "":
		case !ok:
			return cfg, badArg("configuration", "line %q has no '='", line)
		case key == "version":
			v, err := strconv.ParseUint(value, 16, 64)
			if err != nil {
				return cfg, badArg("configuration", "version %q is not hexadecimal", value)
			}
			cfg.Version = int64(v)
		case strings.HasPrefix(key, "server."):
			m, err := parseMember(key[len("server."):], value)
			if err != nil {
				return cfg, err
			}
			cfg.Members = append(cfg.Members, m)
		}
	}
	return cfg, nil
}

func parseMember(id, value string) (Member, error) {
	var m Member
	var err error
	if m.ID, err = strconv.ParseInt(id, 10, 64); err != nil {
		return m, badArg("configuration", "server id %q is not a number", id)
	}
	quorum, client, _ := strings.Cut(value, ";")
	m.Client = strings.TrimSpace(client)
	if m.Client != "" && !strings.Contains(m.Client, ":") {
		m.Client = "0.0.0.0:" + m.Client
	}
	for addr := range strings.SplitSeq(quorum, "|") {
		addr = strings.TrimSpace(addr)
		if rest, ok := strings.CutSuffix(addr, ":observer"); ok {
			addr, m.Observer = rest, true
		}
		addr = strings.TrimSuffix(addr, ":participant")
		if strings.Count(addr, ":") < 2 {
			return m, badArg("configuration", "server.%s: %q is not host:port:port", id, addr)
		}
		m.Quorum = append(m.Quorum, addr)
	}
	return m, nil
}

// String returns the member as a reconfiguration wants it.
func (m Member) String() string {
	role := "participant"
	if m.Observer {
		role = "observer"
	}
	s := fmt.Sprintf("server.%d=%s:%s", m.ID, strings.Join(m.Quorum, "|"), role)
	if m.Client != "" {
		s += ";" + m.Client
	}
	return s
}
