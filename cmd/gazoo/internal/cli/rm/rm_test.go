package rm

import (
	"context"
	"testing"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

func TestWhatMayBeDeleted(t *testing.T) {
	tests := []struct {
		servers  string
		terminal bool
		args     []string
		allowed  bool
	}{
		{"h", false, []string{"/a"}, true},
		{"h", false, []string{"/zookeepers"}, true},
		{"h", false, []string{"/"}, false},
		{"h", false, []string{"//"}, false},
		{"h", false, []string{"/zookeeper"}, false},
		{"h", false, []string{"/zookeeper/quota/a"}, false},
		{"h", false, []string{"--force", "/zookeeper/quota/a"}, true},
		{"h/app", false, []string{"/"}, false},
		{"h/app", false, []string{"/zookeeper"}, true},
		{"h/zookeeper", false, []string{"/quota"}, false},
		{"h/zookeeper", false, []string{"--force", "/quota"}, true},
		{"h", false, []string{"-r", "/a"}, false},
		{"h", true, []string{"-r", "/a"}, true},
		{"h", false, []string{"-r", "-y", "/a"}, true},
		{"h", true, []string{"-r", "-y", "/"}, false},
		{"h", true, []string{"-r", "-y", "--version", "1", "/a"}, false},
		{"h", false, []string{"--version", "1", "/a"}, true},
	}
	for _, tt := range tests {
		e := env.New(env.Streams{InTerminal: tt.terminal}, nil)
		e.Options.Servers = tt.servers
		ran := false
		cmd := newCmd(e, func(context.Context, *options) error { ran = true; return nil })
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(tt.args)
		err := cmd.ExecuteContext(t.Context())
		if ran != tt.allowed || !tt.allowed && exit.Code(err) != exit.Usage {
			t.Errorf("rm %q on %q, terminal %v: ran %v, %v; want ran %v, or a usage error", tt.args, tt.servers, tt.terminal, ran, err, tt.allowed)
		}
	}
}
