package create

import (
	"context"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// parse runs the command's constructor on a command line and returns what run would get.
func parse(t *testing.T, e *env.Env, args ...string) (*options, error) {
	t.Helper()
	var got *options
	cmd := newCmd(e, func(_ context.Context, o *options) error { got = o; return nil })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return got, err
}

func TestParse(t *testing.T) {
	oneShot, shell := env.New(env.Streams{}, nil), env.New(env.Streams{}, nil)
	shell.KeepsSession = true
	tests := []struct {
		name string
		env  *env.Env
		args []string
		want options
	}{
		{"plain", oneShot, []string{"/a"}, options{path: "/a"}},
		{"empty value", oneShot, []string{"/a", ""}, options{path: "/a", hasValue: true}},
		{"negative value", oneShot, []string{"/a", "--", "-1"}, options{path: "/a", value: "-1", hasValue: true}},
		{"number alone", oneShot, []string{"-s", "/a/"}, options{path: "/a/", sequential: true}},
		{"number below the root", oneShot, []string{"-s", "/"}, options{path: "/", sequential: true}},
		{"trailing slash", oneShot, []string{"/a/"}, options{path: "/a"}},
		{"ephemeral holds", oneShot, []string{"-e", "/a"}, options{path: "/a", ephemeral: true, hold: true}},
		{"or not", oneShot, []string{"-e", "--hold=false", "/a"}, options{path: "/a", ephemeral: true}},
		{"in a shell it need not", shell, []string{"-e", "/a"}, options{path: "/a", ephemeral: true}},
		{
			"everything", oneShot,
			[]string{"-p", "-s", "--protected", "--ttl=1m", "--acl=world:anyone:r", "--hold", "/a", "-"},
			options{path: "/a", value: "-", hasValue: true, parents: true, sequential: true, protected: true, ttl: time.Minute, acl: "world:anyone:r", hold: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.env = tt.env
			got, err := parse(t, tt.env, tt.args...)
			if err != nil || *got != tt.want {
				t.Errorf("create %q parsed as %+v, %v; want %+v", tt.args, got, err, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"a"},
		{"/a", "b", "c"},
		{"-e", "-c", "/a"},
		{"-e", "--ttl=1s", "/a"},
		{"-c", "--ttl=1s", "/a"},
		{"-c", "-s", "/a"},
		{"--ttl=-1s", "/a"},
		{"--acl=world", "/a"},
		{"--acl=", "--acl=x:y:q", "/a"},
	} {
		got, err := parse(t, env.New(env.Streams{}, nil), args...)
		if exit.Code(err) != exit.Usage || got != nil {
			t.Errorf("create %q parsed as %+v, %v; want a usage error", args, got, err)
		}
	}
}
