package gazoo_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func TestReconfigureAnEnsemble(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{Servers: 3, ReconfigEnabled: true, SuperDigest: gazoo.DigestID("super", "secret")})
	ctx := deadline(t, 60*time.Second)
	leader, err := e.WaitLeader(ctx)
	must(t, err)
	// On the leader: a server that changes its part drops its clients, and an answer may go with them.
	zk := connect(t, e.Server(leader).Addr()+"/any/root", gazoo.WithAuth("digest", []byte("super:secret")))
	cfg, stat, w, err := zk.EnsembleConfigW(ctx)
	must(t, err)
	if len(cfg.Members) != 3 || cfg.Text == "" || stat.DataLength == 0 {
		t.Fatalf("EnsembleConfig = %+v, want three members", cfg)
	}
	for i, m := range cfg.Members {
		host, _, _ := net.SplitHostPort(e.Server(i).Addr())
		if m.ID != int64(i+1) || m.Observer || len(m.Quorum) != 1 || !strings.HasPrefix(m.Quorum[0], host+":") {
			t.Errorf("member %d = %+v, want the participant on %s", i, m, host)
		}
	}
	_, _, err = connect(t, e.Hosts()).Reconfig(ctx, gazoo.Reconfiguration{Leaving: []string{"3"}, Version: gazoo.AnyConfig})
	wantErr(t, "Reconfig by anybody", err, gazoo.ErrNoAuth)
	_, _, err = zk.Reconfig(ctx, gazoo.Reconfiguration{Leaving: []string{"3"}, Version: cfg.Version + 1})
	wantErr(t, "Reconfig from another version", err, gazoo.ErrBadVersion)
	_, _, err = zk.Reconfig(ctx, gazoo.Reconfiguration{Leaving: []string{"1", "2", "3"}, Version: gazoo.AnyConfig})
	if !errors.Is(err, gazoo.ErrBadArguments) && !errors.Is(err, gazoo.ErrNewConfigNoQuorum) {
		t.Errorf("Reconfig that leaves nobody = %v", err)
	}

	// A follower becomes an observer, then leaves, then comes back.
	out := (leader + 1) % 3
	member := cfg.Members[out]
	member.Observer, member.Client = true, e.Server(out).Addr()
	step := func(what string, change gazoo.Reconfiguration, members int, observer bool) {
		t.Helper()
		data, stat, err := zk.Reconfig(ctx, change)
		must(t, err)
		got, err := gazoo.ParseEnsembleConfig(string(data))
		must(t, err)
		if len(got.Members) != members || got.Version <= cfg.Version || stat.Mzxid == 0 {
			t.Errorf("%s = %+v, want %d members and a version after 0x%x", what, got, members, cfg.Version)
		}
		for _, m := range got.Members {
			if m.ID == member.ID && (m.Observer != observer || m.Client != member.Client) {
				t.Errorf("%s: member %v, want observer %v", what, m, observer)
			}
		}
		cfg = got
	}
	step("joining as an observer", gazoo.Reconfiguration{Joining: []string{member.String()}, Version: cfg.Version}, 3, true)
	awaitEvent(t, w, gazoo.EventDataChanged, "/zookeeper/config")
	step("leaving", gazoo.Reconfiguration{Leaving: []string{fmt.Sprint(member.ID)}, Version: gazoo.AnyConfig}, 2, false)
	member.Observer = false
	step("joining", gazoo.Reconfiguration{Joining: []string{member.String()}, Version: gazoo.AnyConfig}, 3, false)
	var all []string
	for i, m := range cfg.Members {
		m.Client = e.Server(i).Addr()
		all = append(all, m.String())
	}
	step("the whole list", gazoo.Reconfiguration{Members: all, Version: gazoo.AnyConfig}, 3, false)
	must(t, zk.Sync(ctx, "/"))
	if now, _, err := zk.EnsembleConfig(ctx); err != nil || now.Version != cfg.Version || now.Text != cfg.Text {
		t.Errorf("EnsembleConfig = %+v, %v, want %+v", now, err, cfg)
	}
}

func TestReconfigRefusals(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := connect(t, c.Hosts())
		_, _, err := zk.Reconfig(ctx, gazoo.Reconfiguration{Leaving: []string{"3"}, Version: gazoo.AnyConfig})
		wantErr(t, "Reconfig where it is disabled", err, gazoo.ErrReconfigDisabled)
		cfg, _, err := zk.EnsembleConfig(ctx)
		want := c.Len()
		if want == 1 {
			want = 0 // a standalone server has no configuration to show
		}
		if err != nil || len(cfg.Members) != want {
			t.Errorf("EnsembleConfig = %+v, %v, want %d members", cfg, err, want)
		}
	})
	e := ensemble.StartT(t, ensemble.Config{ReconfigEnabled: true, SuperDigest: gazoo.DigestID("super", "secret")})
	ctx := deadline(t, 20*time.Second)
	zk := connect(t, e.Hosts(), gazoo.WithAuth("digest", []byte("super:secret")))
	sub := zk.SubscribeState()
	_, _, err := zk.Reconfig(ctx, gazoo.Reconfiguration{Leaving: []string{"3"}, Version: gazoo.AnyConfig})
	wantErr(t, "Reconfig of a standalone server", err, gazoo.ErrUnimplemented)
	if _, _, err := zk.Exists(ctx, "/"); err != nil {
		t.Errorf("Exists afterwards: %v", err)
	}
	if ch, err := sub.Next(deadline(t, time.Millisecond)); err == nil {
		t.Errorf("state changed: %+v", ch)
	}
}

func TestFourLetterWordsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := connect(t, c.Hosts())
		for word, want := range map[string]string{
			"ruok": "imok", "isro": "rw", "srvr": "Zookeeper version: 3.", "mntr": "zk_version\t3.", "stat": "Clients:", "conf": "tickTime=500",
			"cons": "127.0.0.1", "dump": "Session", "envi": "zookeeper.version=3.", "wchs": "Total watches:", "dirs": "datadir_size:",
		} {
			if text, err := zk.FourLetterWord(ctx, word); err != nil || !strings.Contains(text, want) {
				t.Errorf("FourLetterWord(%s) = %q, %v, want it to contain %q", word, text, err, want)
			}
		}
		v, err := zk.ServerVersion(ctx)
		if err != nil || v.Major != 3 || v.Minor < 8 || !strings.HasPrefix(v.Text, v.String()) {
			t.Errorf("ServerVersion = %+v, %v", v, err)
		}
		_, err = zk.FourLetterWord(ctx, "five5")
		wantErr(t, "FourLetterWord of five letters", err, gazoo.ErrBadArguments)
	})
}

func TestFourLetterWordNotEnabled(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{Properties: map[string]string{"4lw.commands.whitelist": "srvr, isro"}})
	ctx := deadline(t, 20*time.Second)
	zk := connect(t, e.Hosts())
	_, err := zk.FourLetterWord(ctx, "mntr")
	wantErr(t, "FourLetterWord that is not enabled", err, gazoo.ErrWordNotEnabled)
	if v, err := zk.ServerVersion(ctx); err != nil || v.Major != 3 {
		t.Errorf("ServerVersion = %v, %v", v, err)
	}
}
