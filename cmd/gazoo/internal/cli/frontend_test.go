package cli_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

// frontEnd runs command lines as a shell would: all in one session, below a current znode, on a
// terminal.
type frontEnd struct {
	t         *testing.T
	env       *env.Env
	out, talk strings.Builder
}

func newFrontEnd(t *testing.T) *frontEnd {
	t.Helper()
	server := ensemble.Shared(t, ensemble.Standalone).Server(0).Addr()
	leak.Check(t) // from here on: the server goes on
	zk := connect(t, server)
	home, err := zk.Create(t.Context(), "/shell-", nil, gazoo.Sequential())
	if err != nil {
		t.Fatal(err)
	}
	f := &frontEnd{t: t}
	f.env = env.New(env.Streams{In: strings.NewReader(""), Out: &f.out, Err: &f.talk, OutTerminal: true}, nil)
	f.env.Cwd, f.env.KeepsSession = home, true
	f.env.Client = func(context.Context) (*gazoo.Client, func(context.Context), error) {
		return zk, func(context.Context) {}, nil
	}
	return f
}

// run runs one command line and expects its exit code and what it prints.
func (f *frontEnd) run(code int, want string, args ...string) {
	f.t.Helper()
	f.out.Reset()
	f.talk.Reset()
	got := cli.Run(f.t.Context(), args, f.env)
	if got != code || !regexp.MustCompile("^(?:"+want+")$").MatchString(f.out.String()) {
		f.t.Errorf("%q: exit code %d, printed %q; want %d, %q; it said %q", args, got, f.out.String(), code, want, f.talk.String())
	}
}

func TestAnotherFrontEndRunsTheCommandsInOneSession(t *testing.T) {
	f := newFrontEnd(t)
	home := f.env.Cwd
	f.run(0, home+"/me\n", "create", "--ephemeral", "me", "here")
	f.run(0, "here\n", "get", "me")
	f.run(0, fmt.Sprintf(`PATH +SESSION\n%s/me +0x[0-9a-f]+\n`, home), "ephemerals", "--mine", home)
	f.run(0, `NAME +VERSION +BYTES +CHILDREN +MODIFIED +OWNER\nme +0 +4 +0 +20\S+Z +0x[0-9a-f]+\n`, "ls", "-s", home)
	f.run(0, `\{"path":"[^"]+","data":"here"\}\n`, "get", "--output", "json", "me")
	f.run(4, "", "get", "nobody")
	f.run(0, "", "rm", "me")
	f.run(4, "", "get", "me")
	f.run(2, "", "get")
}
