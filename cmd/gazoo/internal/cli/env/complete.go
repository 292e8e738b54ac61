package env

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
)

// completionTimeout bounds what a press of the tab key may cost.
const completionTimeout = 2 * time.Second

// CompletePath completes a first argument that is a path with the znodes there are. Without a
// server it offers nothing.
func (e *Env) CompletePath(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 || e.Resolve(cmd.Flags()) != nil {
		return nil, none
	}
	begun := typed[:strings.LastIndexByte(typed, '/')+1]
	parent, err := e.Path(begun)
	if err != nil {
		return []string{"/"}, none | cobra.ShellCompDirectiveNoSpace
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	var names []string
	err = e.Do(ctx, func(ctx context.Context, zk *gazoo.Client) (err error) {
		names, err = zk.Children(ctx, parent)
		return err
	})
	if err != nil {
		return nil, none
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = begun + name
	}
	return slices.DeleteFunc(names, func(path string) bool { return !strings.HasPrefix(path, typed) }), none | cobra.ShellCompDirectiveNoSpace
}
