package ztree

import (
	"strings"
	"unicode/utf8"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// validPath is the server's full validation (PathUtils.validatePath), on text that Java would
// have decoded: invalid UTF-8 reads as U+FFFD there, which is forbidden.
func validPath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	if path == "/" {
		return true
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	for i := 0; i < len(path); i++ {
		if c := path[i]; c >= 0x20 && c < 0x7f {
			continue
		}
		r, size := utf8.DecodeRuneInString(path[i:])
		if zkproto.ForbiddenInPath(r) {
			return false
		}
		i += size - 1
	}
	return true
}

// roughPath is what create and delete ask of a path before they look at the tree.
func roughPath(path string) bool {
	return strings.Contains(path, "/") && !strings.Contains(path, "\x00")
}
