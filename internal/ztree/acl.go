package ztree

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// ID is one identity of a connection: what authentication proved.
type ID struct{ Scheme, ID string }

// Caller is on whose behalf a request runs.
type Caller struct {
	Session int64
	Cxid    int32
	IDs     []ID
}

// Scheme is what an authentication scheme means to ACLs.
type Scheme struct {
	Valid         func(id string) bool          // whether an ACL may name the id
	Matches       func(have, entry string) bool // whether an identity is meant by an ACL's id
	Authenticated bool                          // whether "auth:" in an ACL stands for such identities
}

// DefaultSchemes are those that a server knows without configuration: digest and ip.
func DefaultSchemes() map[string]Scheme {
	return map[string]Scheme{
		"digest": {Valid: validDigest, Matches: func(have, entry string) bool { return have == entry }, Authenticated: true},
		"ip":     {Valid: validIP, Matches: matchesIP},
	}
}

// validDigest wants two parts, as Java's split sees them: trailing empty parts do not count.
func validDigest(id string) bool {
	return len(strings.Split(strings.TrimRight(id, ":"), ":")) == 2
}

// validIP is an IPv4 address with an optional number of bits, as before ZooKeeper 3.9.4.
func validIP(id string) bool {
	_, _, ok := parseIP(id)
	return ok
}

// parseIP reads an address, and how many bits of it count. Numbers are whatever Java's parseInt
// takes: signs and leading zeros too.
func parseIP(id string) (addr uint32, bits int, ok bool) {
	text, mask, masked := strings.Cut(id, "/")
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return 0, 0, false
	}
	for _, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 255 {
			return 0, 0, false
		}
		addr = addr<<8 | uint32(n)
	}
	if !masked {
		return addr, 32, true
	}
	bits, err := strconv.Atoi(mask)
	return addr, bits, err == nil && bits >= 0 && bits <= 32
}

func matchesIP(have, entry string) bool {
	addr, err := netip.ParseAddr(have)
	want, bits, ok := parseIP(entry)
	if err != nil || !ok || !addr.Unmap().Is4() {
		return false
	}
	b := addr.Unmap().As4()
	return (binary.BigEndian.Uint32(b[:])^want)>>(32-bits) == 0
}

// allowed is the access check.
func (t *Tree) allowed(c *Caller, n *node, want zkproto.Perm) bool {
	if t.opt.SkipACL {
		return true
	}
	return t.permits(t.acls.list(n.acl), c.IDs, want)
}

// Permits is the check for whoever keeps an ACL beside the tree, such as watches.
func (t *Tree) Permits(acl []zkproto.ACL, ids []ID, want zkproto.Perm) bool {
	return t.opt.SkipACL || t.permits(acl, ids, want)
}

func (t *Tree) permits(acl []zkproto.ACL, ids []ID, want zkproto.Perm) bool {
	if len(acl) == 0 {
		return true
	}
	for _, id := range ids {
		if id.Scheme == "super" {
			return true
		}
	}
	for _, entry := range acl {
		if entry.Perms&want == 0 {
			continue
		}
		if entry.Scheme == "world" && entry.ID == "anyone" {
			return true
		}
		scheme, known := t.opt.Schemes[entry.Scheme]
		for _, id := range ids {
			if known && id.Scheme == entry.Scheme && scheme.Matches(id.ID, entry.ID) {
				return true
			}
		}
	}
	return false
}

// fixACL checks the ACL of a request and makes what is stored of it: duplicates go, "auth"
// becomes the caller's identities.
func (t *Tree) fixACL(c *Caller, op *zkproto.MultiOp) ([]zkproto.ACL, zkproto.Code) {
	var fixed []zkproto.ACL
	for i, entry := range op.ACL {
		if contains(op.ACL[:i], entry) {
			continue
		}
		if entry.Scheme == "auth" {
			found := false
			for _, id := range c.IDs {
				if t.opt.Schemes[id.Scheme].Authenticated {
					found = true
					fixed = append(fixed, zkproto.ACL{Perms: entry.Perms, Scheme: id.Scheme, ID: id.ID})
				}
			}
			if !found {
				return nil, zkproto.ErrInvalidACL
			}
			continue
		}
		scheme, known := t.opt.Schemes[entry.Scheme]
		switch {
		case entry.Scheme != "world" && !known:
			return nil, zkproto.ErrInvalidACL
		case op.NullID && entry.ID == "":
			return nil, zkproto.ErrMarshallingError // Apache trips over the null
		case known && !scheme.Valid(entry.ID), !known && entry.ID != "anyone":
			return nil, zkproto.ErrInvalidACL
		}
		fixed = append(fixed, entry)
	}
	if len(fixed) == 0 {
		return nil, zkproto.ErrInvalidACL
	}
	return fixed, zkproto.OK
}

func contains(acl []zkproto.ACL, entry zkproto.ACL) bool {
	for _, a := range acl {
		if a == entry {
			return true
		}
	}
	return false
}

// masked hides the hashes of digest identities from those who may not administer.
func masked(acl []zkproto.ACL) []zkproto.ACL {
	out := make([]zkproto.ACL, len(acl))
	for i, a := range acl {
		if a.Scheme == "digest" {
			user, _, _ := strings.Cut(a.ID, ":")
			a.ID = user + ":x"
		}
		out[i] = a
	}
	return out
}
