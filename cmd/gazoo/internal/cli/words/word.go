// Package words has the commands that ask servers four-letter words.
package words

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/fourletter"
)

type options struct {
	env  *env.Env
	word string
}

// NewCmd returns the command for any word.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	return &cobra.Command{
		Use:     "4lw WORD",
		GroupID: env.GroupServer,
		Short:   "Send a four-letter word to every server",
		Long: `Send a four-letter word, such as srvr, mntr or cons, to each of --servers and print the answers.
No session is needed. Servers answer only words that 4lw.commands.whitelist enables; srvr is.

One server's answer is printed as it is; with several, each line has the server and a tab in front.

JSON, a line per server: {"server":"zk1:2181","answer":"…"} or {"server":"zk1:2181","error":"…"}`,
		Example: `  gazoo 4lw srvr
  gazoo 4lw mntr --servers zk1,zk2,zk3 | grep zk_server_state`,
		Args: env.Args("WORD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.word = args[0]
			if len(o.word) != 4 {
				return exit.Usagef("%q has not four letters", o.word)
			}
			return run(cmd.Context(), o)
		},
	}
}

type result struct {
	Server string `json:"server"`
	Answer string `json:"answer,omitempty"`
	Error  string `json:"error,omitempty"`
}

func run(ctx context.Context, o *options) error {
	answers, err := fourletter.AskAll(ctx, o.env, o.word)
	if err != nil {
		return err
	}
	return show(o.env, answers)
}

// show prints the answers there are. Servers that gave none are the error: the last of them in
// full, the others on stderr.
func show(e *env.Env, answers []fourletter.Answer) error {
	p := e.Printer()
	var failed error
	for _, a := range answers {
		switch {
		case a.Err != nil:
			if p.JSON() {
				p.Object(result{Server: a.Server, Error: exit.Message(a.Err)})
			}
			if failed != nil {
				e.Say("%s", exit.Message(failed))
			}
			failed = a.Err
		case p.JSON():
			p.Object(result{Server: a.Server, Answer: a.Text})
		case len(answers) == 1:
			p.Bytes([]byte(strings.TrimSuffix(a.Text, "\n") + "\n"))
		default:
			for line := range strings.Lines(strings.TrimSpace(a.Text)) {
				p.Line(a.Server, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	if err := p.Flush(); err != nil {
		return err
	}
	return failed
}
