package env

import (
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// Path turns an argument into a znode path. Doubled and trailing slashes are forgiven.
func (e *Env) Path(arg string) (string, error) {
	full := arg
	if !strings.HasPrefix(arg, "/") {
		if e.Cwd == "" || arg == "" {
			return "", exit.Usagef("path %q does not begin with /", arg)
		}
		full = e.Cwd + "/" + arg
	}
	path, err := gazoo.NormalizePath(full)
	if err != nil {
		return "", exit.Usagef("path %q: %v", arg, err)
	}
	return path, nil
}

// Absolute returns a path as the servers know it, with the chroot of --servers in front.
func (e *Env) Absolute(path string) (string, error) {
	_, chroot, err := gazoo.ParseHosts(e.Options.Servers)
	if err != nil {
		return "", err
	}
	return gazoo.NormalizePath(chroot + path)
}
