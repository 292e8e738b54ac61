// Package cli is the command line of the tool gazoo: the tree of commands, the options they
// share, signals and exit codes. The commands are packages below it.
package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// Main runs the command line in args, the program's name left out, and returns the exit code.
func Main(args []string, s env.Streams) int {
	ctx, stop := interruptible(context.Background(), os.Exit)
	defer stop()
	return Run(ctx, args, env.New(s, os.LookupEnv))
}

// Run runs one command line in an environment, reports its error on stderr and returns the exit
// code. Front ends beside [Main] call it with an Env of their own.
func Run(ctx context.Context, args []string, e *env.Env) int {
	root := NewRoot(e)
	root.SetArgs(args)
	resolve, started := root.PersistentPreRunE, false
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		started = true
		return resolve(cmd, args)
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exit.OK
	}
	if _, ok := errors.AsType[*exit.UsageError](err); !ok && !started {
		err = exit.Usagef("%v", err) // cobra's own words about the command line
	}
	message := exit.Message(err)
	if _, ok := errors.AsType[*exit.UsageError](err); ok {
		message += "; see " + cmd.CommandPath() + " --help"
	}
	e.Say("%s", message)
	return exit.Code(err)
}
