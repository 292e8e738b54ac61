package gazoo

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// ValidatePath checks an absolute znode path by the server's own rules: it begins with '/',
// has no empty, "." or ".." component and no trailing '/' (but "/" itself is fine), is valid
// UTF-8 and holds none of the characters ZooKeeper forbids: controls, private use, U+FFF0 to
// U+FFFF, and everything outside the basic plane. The error is an [*ArgumentError].
func ValidatePath(path string) error { return validatePath(path, false) }

// validatePath checks a path; of a prefix, to which the server appends digits, the last
// component may be empty or look relative.
func validatePath(path string, prefix bool) error {
	switch {
	case path == "":
		return badArg("path", "empty")
	case path[0] != '/':
		return badArg("path", "%q does not begin with '/'", path)
	case path == "/":
		return nil
	case path[len(path)-1] == '/' && !prefix:
		return badArg("path", "%q ends with '/'", path)
	}
	// One pass; component is the index just behind the last slash.
	component := 1
	for i := 1; i <= len(path); i++ {
		if i == len(path) && prefix {
			break
		}
		if i == len(path) || path[i] == '/' {
			switch path[component:i] {
			case "":
				return badArg("path", "%q has an empty component", path)
			case ".", "..":
				return badArg("path", "%q has a relative component", path)
			}
			component = i + 1
			continue
		}
		if path[i] >= 0x20 && path[i] < 0x7f {
			continue
		}
		r, size := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && size == 1 {
			return badArg("path", "%q is not valid UTF-8", path)
		}
		if zkproto.ForbiddenInPath(r) {
			return badArg("path", "%q holds the character %U, which ZooKeeper forbids", path, r)
		}
		i += size - 1
	}
	return nil
}

// NormalizePath drops empty components and a trailing slash, as Kazoo does before each
// operation, and refuses "." and "..". The operations of this package do not normalise: a
// path that is not in normal form is more often a bug than a wish.
func NormalizePath(path string) (string, error) {
	var b strings.Builder
	b.Grow(len(path) + 1)
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			b.WriteByte('/')
			b.WriteString(part)
		}
	}
	if b.Len() == 0 {
		b.WriteByte('/')
	}
	if err := ValidatePath(b.String()); err != nil {
		return "", err
	}
	return b.String(), nil
}

// JoinPath joins parts with single slashes. A leading slash is kept (or added when the first
// part is absolute only).
func JoinPath(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i == 0 && strings.HasPrefix(part, "/") {
			b.WriteByte('/')
		}
		part = strings.Trim(part, "/")
		if part == "" {
			continue
		}
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "/") {
			b.WriteByte('/')
		}
		b.WriteString(part)
	}
	return b.String()
}

// SplitPath returns the parent and the name of an absolute path: "/a/b" gives "/a" and "b",
// "/a" gives "/" and "a", "/" gives "/" and "".
func SplitPath(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/", path[i+1:]
	}
	return path[:i], path[i+1:]
}

// ParentPath returns the path without its last component; the parent of "/" is "/".
func ParentPath(path string) string {
	parent, _ := SplitPath(path)
	return parent
}

// BaseName returns the last component of path, "" for "/".
func BaseName(path string) string {
	_, name := SplitPath(path)
	return name
}

// SequenceOf returns the number that a sequential create appended to path, and the text
// before it. The server writes ten digits; after an overflow a minus sign and up to ten
// digits, so the number can be negative. ok is false when the path does not end that way.
func SequenceOf(path string) (prefix string, seq int32, ok bool) {
	if len(path) < 10 {
		return path, 0, false
	}
	tail := path[len(path)-10:]
	prefix = path[:len(path)-10]
	// -2147483648 to -1000000000: the sign stands before ten digits. A single dash there may as
	// well end the prefix ("lock-1234567890"), so the sign is believed only behind a dash or
	// before a number that no positive counter reaches.
	if len(path) > 11 && path[len(path)-11] == '-' && (path[len(path)-12] == '-' || tail > "2147483647") {
		if n, err := strconv.ParseInt("-"+tail, 10, 32); err == nil && n <= -1000000000 {
			return path[:len(path)-11], int32(n), true
		}
	}
	for i := range len(tail) {
		if (tail[i] < '0' || tail[i] > '9') && (i != 0 || tail[i] != '-') {
			return path, 0, false
		}
	}
	n, err := strconv.ParseInt(tail, 10, 32)
	if err != nil {
		return path, 0, false
	}
	return prefix, int32(n), true
}

// absPath puts a chroot before a path.
func absPath(root, path string) string {
	switch {
	case root == "":
		return path
	case path == "/":
		return root
	}
	return root + path
}

// relPath takes a chroot off a path. A path outside the chroot comes back whole, with ok
// false: the caller decides (events outside never reach a view).
func relPath(root, path string) (string, bool) {
	if root == "" {
		return path, true
	}
	if path == root {
		return "/", true
	}
	if len(path) > len(root) && path[len(root)] == '/' && path[:len(root)] == root {
		return path[len(root):], true
	}
	return path, false
}
