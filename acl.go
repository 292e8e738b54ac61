package gazoo

import (
	"crypto/sha1"
	"encoding/base64"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// ACL is one entry of an access control list: what the identity scheme:id may do. Entries only
// add up; their order does not matter.
type ACL = zkproto.ACL

// Perm is a set of permissions.
type Perm = zkproto.Perm

// Permissions. Create and Delete concern children, the others the znode itself.
const (
	PermRead   = zkproto.PermRead   // data, children, ACL
	PermWrite  = zkproto.PermWrite  // set data
	PermCreate = zkproto.PermCreate // create children
	PermDelete = zkproto.PermDelete // delete children
	PermAdmin  = zkproto.PermAdmin  // set the ACL
	PermAll    = zkproto.PermAll
)

// OpenACL lets anyone do anything (Kazoo: OPEN_ACL_UNSAFE).
func OpenACL() []ACL { return []ACL{{Perms: PermAll, Scheme: "world", ID: "anyone"}} }

// ReadACL lets anyone read (Kazoo: READ_ACL_UNSAFE).
func ReadACL() []ACL { return []ACL{{Perms: PermRead, Scheme: "world", ID: "anyone"}} }

// CreatorACL lets the identities of the creating connection do anything; it needs one that
// authenticated ([Client.AddAuth]).
func CreatorACL() []ACL { return []ACL{{Perms: PermAll, Scheme: "auth", ID: ""}} }

// DigestID returns the id that the digest scheme gives to a user: user:base64(sha1(user:password)).
func DigestID(user, password string) string {
	sum := sha1.Sum([]byte(user + ":" + password))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

// DigestACL is an entry for a user of the digest scheme, with the password hashed.
func DigestACL(perms Perm, user, password string) ACL {
	return ACL{Perms: perms, Scheme: "digest", ID: DigestID(user, password)}
}

// ParseACL reads a comma-separated list in zkCli's notation: scheme:id:perms, with perms out
// of "cdrwa" ("all" is short for all five). The error is an [*ArgumentError].
func ParseACL(s string) ([]ACL, error) {
	acl, err := zkproto.ParseACLs(s)
	if err != nil {
		return nil, badArg("ACL", "%v", err)
	}
	return acl, nil
}

// validateACL refuses what every server would refuse.
func validateACL(acl []ACL) error {
	if len(acl) == 0 {
		return badArg("ACL", "empty list")
	}
	for _, a := range acl {
		switch {
		case a.Scheme == "":
			return badArg("ACL", "entry without a scheme")
		case a.Scheme == "world" && a.ID != "anyone":
			return badArg("ACL", "scheme world knows only the id \"anyone\"")
		}
	}
	return nil
}

var openACL = OpenACL()

// aclFor is the ACL of a create of an absolute path: its own, what the client chooses for the
// path, the client's default, or open.
func (zk *Client) aclFor(path string, own []ACL) []ACL {
	if own != nil {
		return own
	}
	if choose := zk.core.cfg.chooseACL; choose != nil {
		if acl := choose(path); acl != nil {
			return acl
		}
	}
	if acl := zk.core.cfg.defaultACL; acl != nil {
		return acl
	}
	return openACL
}

// aclUnder is aclFor for a path in the view. The whole path is made only for those who ask.
func (zk *Client) aclUnder(path string, own []ACL) []ACL {
	if zk.core.cfg.chooseACL != nil {
		path = zk.root + path
	}
	return zk.aclFor(path, own)
}
