package env

import (
	"fmt"
	"os"
	"strings"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// credential is an identity to present to servers.
type credential struct {
	scheme string
	secret []byte
}

// credentials returns those of the environment and of --auth-file. Errors say where something is
// wrong and never what stands there.
func (o *Options) credentials() ([]credential, error) {
	var list []credential
	if o.credential != "" {
		c, err := parseCredential(o.credential)
		if err != nil {
			return nil, exit.Usagef("$%s: %v", authVariable, err)
		}
		list = append(list, c)
	}
	if o.AuthFile == "" {
		return list, nil
	}
	text, err := os.ReadFile(o.AuthFile)
	if err != nil {
		return nil, exit.Usagef("--auth-file: %v", err)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		c, err := parseCredential(line)
		if err != nil {
			return nil, exit.Usagef("--auth-file: %s:%d: %v", o.AuthFile, number, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, exit.Usagef("--auth-file: no credential in %s", o.AuthFile)
	}
	return list, nil
}

// parseCredential reads "scheme credential".
func parseCredential(s string) (credential, error) {
	s = strings.TrimSpace(s)
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return credential{}, fmt.Errorf(`want a scheme, a space and the credential, such as "digest user:password"`)
	}
	c := credential{s[:i], []byte(strings.TrimSpace(s[i:]))}
	if c.scheme == "digest" && !strings.Contains(string(c.secret), ":") {
		return credential{}, fmt.Errorf("a digest credential is user:password")
	}
	return c, nil
}
