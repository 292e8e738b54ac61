package zkproto

import (
	"fmt"
	"strconv"
	"strings"
)

// Perm is a set of permission bits. Servers store and return bits they do not
// know, so those are kept too.
type Perm int32

// The permissions.
const (
	// PermRead allows reading data and listing children.
	PermRead Perm = 1
	// PermWrite allows setting data.
	PermWrite Perm = 2
	// PermCreate allows creating children of the znode.
	PermCreate Perm = 4
	// PermDelete allows deleting children of the znode, not the znode itself.
	PermDelete Perm = 8
	// PermAdmin allows setting the ACL.
	PermAdmin Perm = 16
	// PermAll is all of the above.
	PermAll Perm = 31
)

const permLetters = "cdrwa" // in the order zkCli prints them

var permBits = [len(permLetters)]Perm{PermCreate, PermDelete, PermRead, PermWrite, PermAdmin}

// String returns the letters of the permissions in zkCli's order, "cdrwa" for
// [PermAll]. Unknown bits follow as a number, as in "r|0x40"; no bit at all is
// "none". [ParsePerm] reads all of these.
func (p Perm) String() string {
	if p == 0 {
		return "none"
	}
	s := make([]byte, 0, len(permLetters))
	for i, bit := range permBits {
		if p&bit != 0 {
			s = append(s, permLetters[i])
		}
	}
	if rest := p &^ PermAll; rest != 0 {
		if len(s) > 0 {
			s = append(s, '|')
		}
		s = append(s, "0x"...)
		s = strconv.AppendUint(s, uint64(uint32(rest)), 16)
	}
	return string(s)
}

// ParsePerm reads letters of "cdrwa" in any order, and what [Perm.String]
// returns; "all" stands for all five. The empty string is no permission, as in
// zkCli; a letter that is no permission is an error, unlike in zkCli, which
// would ignore it.
func ParsePerm(s string) (Perm, error) {
	switch s {
	case "none":
		return 0, nil
	case "all":
		return PermAll, nil
	}
	letters, rest := s, ""
	if i := strings.Index(s, "0x"); i >= 0 {
		letters, rest = strings.TrimSuffix(s[:i], "|"), s[i+2:]
	}
	var p Perm
	for _, c := range letters {
		i := strings.IndexRune(permLetters, c)
		if i < 0 {
			return 0, fmt.Errorf("permissions %q: %q is none of %s", s, c, permLetters)
		}
		p |= permBits[i]
	}
	if len(letters) < len(s) {
		bits, err := strconv.ParseUint(rest, 16, 32)
		if err != nil {
			return 0, fmt.Errorf("permissions %q: bad bits %q", s, rest)
		}
		p |= Perm(int32(uint32(bits)))
	}
	return p, nil
}

// An ACL is one entry of an access control list: whoever matches Scheme and ID
// has Perms.
type ACL struct {
	Perms  Perm
	Scheme string // "world", "auth", "digest", "ip", "sasl", "x509"
	ID     string // what the scheme understands: "anyone", "user:hash", "10.0.0.0/8"
}

// String returns scheme, id and permissions joined by colons, as zkCli takes
// them: "world:anyone:cdrwa".
func (a ACL) String() string { return a.Scheme + ":" + a.ID + ":" + a.Perms.String() }

// ParseACL reads scheme:id:perms as zkCli does. The id may contain colons: the
// first colon ends the scheme and the last begins the permissions. It may be
// empty, which is usual for the scheme auth.
func ParseACL(s string) (ACL, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	last := strings.LastIndexByte(rest, ':')
	if !ok || last < 0 {
		return ACL{}, fmt.Errorf("acl %q: want scheme:id:perms", s)
	}
	if scheme == "" {
		return ACL{}, fmt.Errorf("acl %q: empty scheme", s)
	}
	perms, err := ParsePerm(rest[last+1:])
	if err != nil {
		return ACL{}, fmt.Errorf("acl %q: %w", s, err)
	}
	return ACL{Perms: perms, Scheme: scheme, ID: rest[:last]}, nil
}

// ParseACLs reads entries separated by commas, each as [ParseACL] does. An id
// with a comma in it, such as an X.500 name, cannot be written in a list. The
// empty string is an error, because no server accepts an empty ACL.
func ParseACLs(s string) ([]ACL, error) {
	var acls []ACL
	for entry := range strings.SplitSeq(s, ",") {
		a, err := ParseACL(strings.TrimSpace(entry))
		if err != nil {
			return nil, err
		}
		acls = append(acls, a)
	}
	return acls, nil
}

// AppendTo appends the wire form of a to b.
func (a ACL) AppendTo(b []byte) []byte {
	b = AppendInt32(b, int32(a.Perms))
	b = AppendString(b, a.Scheme)
	return AppendString(b, a.ID)
}

// Decode fills a from r. Null schemes and ids become "".
func (a *ACL) Decode(r *Reader) { a.decode(r) }

// decode is Decode that reports whether the id is the null string.
func (a *ACL) decode(r *Reader) (nullID bool) {
	a.Perms = Perm(r.Int32())
	a.Scheme = r.String()
	id, ok := r.NullableString()
	a.ID = id
	return !ok && r.err == nil
}

// appendACLs appends a list; nil is sent as the empty list.
func appendACLs(b []byte, acls []ACL) []byte {
	b = AppendInt32(b, int32(len(acls)))
	for _, a := range acls {
		b = a.AppendTo(b)
	}
	return b
}

// decodeACLs reads a list, and whether it has a null id; the null list is nil.
func decodeACLs(r *Reader) (acls []ACL, nullID bool) {
	n := r.count(12) // permissions and two string lengths
	if n < 0 {
		return nil, false
	}
	acls = make([]ACL, n)
	for i := range acls {
		nullID = acls[i].decode(r) || nullID
	}
	if r.err != nil {
		return nil, false
	}
	return acls, nullID
}
