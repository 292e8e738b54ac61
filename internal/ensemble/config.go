package ensemble

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo/internal/testcert"
)

// Config describes an ensemble. The zero value is one standalone server.
type Config struct {
	// Servers is how many servers there are: 1 (the default) is standalone, 2 to 9 form a quorum.
	Servers int
	// Observers is how many of the servers, counted from the last, do not vote.
	Observers int

	// Dir holds one folder per server. It is created when missing, data that is in it is used, and it stays after
	// Close. When empty, a temporary folder is used and removed by Close.
	Dir string
	// StartTimeout bounds how long Start, and every Start or Restart of a server, waits until it serves (default 60s).
	StartTimeout time.Duration

	TickTime          time.Duration // default 500ms
	MinSessionTimeout time.Duration // default 2 ticks
	MaxSessionTimeout time.Duration // default 60s

	// TLS adds a TLS port to every server, beside the plain one; nil is none.
	TLS *TLSConfig
	// AuthProviderX509 configures the authentication provider that makes client certificates identities. It comes by
	// itself with TLS client certificates.
	AuthProviderX509 bool

	// ReadOnlyMode lets a server without a quorum serve read-only clients. It takes LocalSessions as well for a client
	// to get a session there.
	ReadOnlyMode    bool
	LocalSessions   bool   // sessions are local until they create an ephemeral znode
	SuperDigest     string // "super:base64(sha1(super:password))"; empty is no superuser
	JAAS            string // text of a JAAS login configuration, with a section Server for SASL; empty is none
	ReconfigEnabled bool
	NoExtendedTypes bool // no TTL znodes
	ForceSync       bool // fsync the transaction log, as in production; off by default, for speed

	// QuorumProxies puts a proxy on each path from one server to another, which Partition and Blackout need. It
	// excludes ReconfigEnabled.
	QuorumProxies bool

	Properties       map[string]string // further lines of zoo.cfg; they win over what the fields above say
	SystemProperties map[string]string // -D options of the JVM, with full names such as "zookeeper.snapCount"

	// JVM replaces the options that choose heap, collector and compiler. The default is small and starts fast, which is
	// not how anybody measures a server.
	JVM []string
}

// TLSConfig describes the TLS ports of an ensemble.
type TLSConfig struct {
	// CA signs the servers' certificates, and client certificates have to be signed by it. When nil, the ensemble
	// makes one: see [Ensemble.CA].
	CA *testcert.CA
	// ClientAuth says whether clients present certificates (default ClientAuthNone).
	ClientAuth ClientAuth
}

// ClientAuth is what a server wants of a TLS client, in ZooKeeper's own words.
type ClientAuth string

// A server asks for no certificate, accepts a connection without one, or refuses it.
const (
	ClientAuthNone ClientAuth = "none"
	ClientAuthWant ClientAuth = "want"
	ClientAuthNeed ClientAuth = "need"
)

const maxServers = 9

// withDefaults returns a copy with every default filled in.
func (c Config) withDefaults() Config {
	c.Servers = cmp.Or(c.Servers, 1)
	c.StartTimeout = cmp.Or(c.StartTimeout, 60*time.Second)
	c.TickTime = cmp.Or(c.TickTime, 500*time.Millisecond)
	c.MaxSessionTimeout = cmp.Or(c.MaxSessionTimeout, 60*time.Second)
	if c.TLS != nil {
		tls := *c.TLS
		tls.ClientAuth = cmp.Or(tls.ClientAuth, ClientAuthNone)
		if tls.CA == nil {
			tls.CA = testcert.NewCA()
		}
		c.TLS = &tls
		c.AuthProviderX509 = c.AuthProviderX509 || tls.ClientAuth != ClientAuthNone
	}
	return c
}

// validate reports every problem of a config that has its defaults.
func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("ensemble: "+format, args...)) }
	if c.Servers < 1 || c.Servers > maxServers {
		bad("Servers is %d, want 1 to %d", c.Servers, maxServers)
	}
	if c.Observers < 0 || c.Observers > 0 && c.voters() < 2 {
		bad("%d of %d servers are observers, want at least 2 voters", c.Observers, c.Servers)
	}
	if c.TickTime < time.Millisecond {
		bad("TickTime is %v, want at least 1ms", c.TickTime)
	}
	if c.MinSessionTimeout < 0 || c.MaxSessionTimeout < c.MinSessionTimeout {
		bad("session timeouts are %v to %v", c.MinSessionTimeout, c.MaxSessionTimeout)
	}
	if c.QuorumProxies && c.Servers == 1 {
		bad("QuorumProxies needs more than one server")
	}
	if c.QuorumProxies && c.ReconfigEnabled {
		bad("QuorumProxies and ReconfigEnabled exclude each other: the servers would agree on one view of their addresses")
	}
	if c.TLS != nil {
		switch c.TLS.ClientAuth {
		case ClientAuthNone, ClientAuthWant, ClientAuthNeed:
		default:
			bad("TLS.ClientAuth is %q, want none, want or need", c.TLS.ClientAuth)
		}
	}
	return errors.Join(errs...)
}

func (c Config) voters() int { return c.Servers - c.Observers }

// ticks converts a duration to ticks, at least the given number.
func (c Config) ticks(d time.Duration, atLeast int) int {
	return max(atLeast, int((d+c.TickTime-1)/c.TickTime))
}
