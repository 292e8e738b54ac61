package zkserver

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Identity is what authentication proved about a connection, and what ACLs are compared with.
type Identity struct{ Scheme, ID string }

// Provider is an authentication scheme. Its functions are called from several goroutines.
type Provider struct {
	// Scheme is its name in ACLs and auth requests.
	Scheme string

	// Authenticate returns the identities that credentials prove; an error refuses them, which
	// closes the connection. Nil refuses all. An identity of scheme "super" passes every check.
	Authenticate func(remote net.Addr, credentials []byte) ([]Identity, error)

	// Valid reports whether an ACL may name an id. Nil accepts all.
	Valid func(id string) bool

	// Matches reports whether an identity is meant by the id of an ACL. Nil compares them.
	Matches func(have, entry string) bool

	// UserName is what whoAmI tells of an identity. Nil is the id.
	UserName func(id string) string
}

var errNoCredentials = errors.New("no credentials")

// builtin returns the schemes that every server knows.
func (c *config) builtin() []Provider {
	digest := Provider{
		Scheme: "digest",
		Authenticate: func(_ net.Addr, credentials []byte) ([]Identity, error) {
			if credentials == nil {
				return nil, errNoCredentials
			}
			id := digestID(credentials)
			ids := []Identity{{"digest", id}}
			if c.superDigest != "" && id == c.superDigest {
				ids = append(ids, Identity{"super", ""})
			}
			return ids, nil
		},
		UserName: func(id string) string {
			user, _, _ := strings.Cut(id, ":")
			return user
		},
	}
	ip := Provider{
		Scheme:       "ip",
		Authenticate: func(net.Addr, []byte) ([]Identity, error) { return nil, nil }, // it has it already
	}
	return []Provider{digest, ip}
}

// digestID is the identity behind user:password. Without a colon all of it is the user.
func digestID(credentials []byte) string {
	user, _, _ := strings.Cut(string(credentials), ":")
	sum := sha1.Sum(credentials)
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

// schemes is what the tree must know about the providers.
func (c *config) schemes() map[string]ztree.Scheme {
	all := ztree.DefaultSchemes()
	for _, p := range c.providers {
		s := ztree.Scheme{Valid: p.Valid, Matches: p.Matches, Authenticated: true}
		if s.Valid == nil {
			s.Valid = func(string) bool { return true }
		}
		if s.Matches == nil {
			s.Matches = func(have, entry string) bool { return have == entry }
		}
		all[p.Scheme] = s
	}
	return all
}

// authenticate handles an auth request at once, on the connection's reader: its identities
// count for what is received from here on, and its reply may overtake earlier ones. It reports
// whether the connection goes on.
func (c *conn) authenticate(xid int32, req zkproto.AuthRequest) bool {
	ids, err := c.prove(req)
	if err != nil {
		c.srv.stats.authFailed.Add(1)
		c.expel(zkproto.ReplyHeader{Xid: xid, Err: zkproto.ErrAuthFailed})
		return false
	}
	have := slices.Clone(c.identities())
	for _, id := range ids {
		if !slices.Contains(have, ztree.ID(id)) {
			have = append(have, ztree.ID(id))
		}
	}
	c.ids.Store(&have)
	c.sendNow(zkproto.ReplyHeader{Xid: xid}.AppendTo(nil), false)
	return true
}

// mayAsk reports whether the connection has proved what the server requires of whoever asks.
func (c *conn) mayAsk() bool {
	required := c.srv.cfg.required
	return len(required) == 0 || slices.ContainsFunc(c.identities(), func(id ztree.ID) bool {
		return slices.Contains(required, id.Scheme)
	})
}

func (c *conn) prove(req zkproto.AuthRequest) ([]Identity, error) {
	p, known := c.srv.providers[req.Scheme]
	if !known || p.Authenticate == nil {
		return nil, errors.New("unknown scheme")
	}
	return p.Authenticate(c.nc.RemoteAddr(), req.Auth)
}

// whoAmI is the answer to that request.
func (s *Server) whoAmI(ids []ztree.ID) zkproto.WhoAmIResponse {
	var r zkproto.WhoAmIResponse
	for _, id := range ids {
		info := zkproto.ClientInfo{Scheme: id.Scheme}
		switch p, known := s.providers[id.Scheme]; {
		case known && p.UserName != nil:
			info.User = p.UserName(id.ID)
		case known:
			info.User = id.ID
		}
		r.Clients = append(r.Clients, info)
	}
	return r
}
