package words

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/fourletter"
)

// NewRuokCmd returns the command for the word ruok.
func NewRuokCmd(e *env.Env) *cobra.Command { return newRuokCmd(e, runRuok) }

func newRuokCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e, word: "ruok"}
	return &cobra.Command{
		Use:     "ruok",
		GroupID: env.GroupServer,
		Short:   "Ask every server whether it runs",
		Long: `Send ruok to each of --servers; those that run answer imok. It does not say that they serve: gazoo
sync does. Anything else is an error. The word must be enabled: see gazoo 4lw --help, which also
describes the output.`,
		Example: `  gazoo ruok --servers zk1,zk2,zk3`,
		Args:    env.Args(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

func runRuok(ctx context.Context, o *options) error {
	answers, err := fourletter.AskAll(ctx, o.env, o.word)
	if err != nil {
		return err
	}
	for i, a := range answers {
		if a.Err == nil && a.Text != "imok" {
			answers[i].Err = fmt.Errorf("%s answered %.80q, not imok", a.Server, a.Text)
		}
	}
	return show(o.env, answers)
}
