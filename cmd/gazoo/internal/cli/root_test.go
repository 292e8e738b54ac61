package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

// TestHelp holds what every command owes its reader.
func TestHelp(t *testing.T) {
	root := NewRoot(env.New(env.Streams{}, nil))
	for _, cmd := range root.Commands() {
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.Name())
		}
		if !strings.Contains(cmd.Example, "gazoo "+cmd.Name()) {
			t.Errorf("the examples of %s do not show it", cmd.Name())
		}
		if cmd.Long == "" || cmd.Short == "" || cmd.GroupID == "" {
			t.Errorf("%s lacks a text or its group", cmd.Name())
		}
		if cmd.GroupID == env.GroupRead && !strings.Contains(cmd.Long, "Read-only") {
			t.Errorf("the help of %s does not say that it only reads", cmd.Name())
		}
		if cmd.GroupID == env.GroupWrite && !strings.Contains(strings.ToLower(cmd.Long), "changes the tree") {
			t.Errorf("the help of %s does not say that it writes", cmd.Name())
		}
		if cmd.Args == nil {
			t.Errorf("%s does not check its arguments", cmd.Name())
		}
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		twin := "[$GAZOO_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) + "]"
		if !strings.Contains(f.Usage, twin) {
			t.Errorf("the help of --%s does not name its variable %s", f.Name, twin)
		}
	})
}
