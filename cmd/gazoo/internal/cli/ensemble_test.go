package cli_test

import (
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// TestEnsemble runs what differs with more than one server.
func TestEnsemble(t *testing.T) {
	servers := ensemble.Shared(t, ensemble.Ensemble3).Hosts()
	for _, tt := range []struct {
		args  []string
		lines int
		says  string
	}{
		{[]string{"demo"}, -1, "6. clean up"},
		{[]string{"config"}, 3, "1\tparticipant\t"},
		{[]string{"config", "--output", "json"}, 1, `"members":[{"id":1,"role":"participant","quorum":["`},
		{[]string{"ruok"}, 3, "\timok\n"},
		{[]string{"ruok", "--output", "json"}, 3, `"answer":"imok"`},
		{[]string{"sync"}, 0, ""},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var out, talk strings.Builder
			e := env.New(env.Streams{Out: &out, Err: &talk}, nil)
			code := cli.Run(t.Context(), append(tt.args, "--servers", servers), e)
			lines := strings.Count(out.String(), "\n")
			if code != 0 || tt.lines >= 0 && lines != tt.lines || !strings.Contains(out.String(), tt.says) || talk.Len() > 0 {
				t.Errorf("gazoo %q: exit code %d, %d lines %q, said %q; want 0, %d lines with %q", tt.args, code, lines, out.String(), talk.String(), tt.lines, tt.says)
			}
		})
	}
}
