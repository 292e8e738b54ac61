package zkproto

// ForbiddenInPath reports whether no znode's path may hold the character: controls, surrogates
// and private use, U+FFF0 to U+FFFF, and everything outside the basic plane, as Apache's
// PathUtils has it. U+FFFD is among them, which is what invalid UTF-8 decodes to.
func ForbiddenInPath(r rune) bool {
	return r <= 0x1f || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
}
