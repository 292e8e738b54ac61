// Package tree is the command that draws a subtree.
package tree

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/walk"
)

type options struct {
	env   *env.Env
	path  string
	depth int
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "tree [PATH]",
		GroupID: env.GroupRead,
		Short:   "Draw what is below a znode",
		Long: `Draw a znode ("/" when none is given) and what is below it, siblings sorted. Read-only.

JSON, one object: {"name":"/a","path":"/a","children":[{"name":"b","path":"/a/b","children":[]}]}.
Where --depth cuts the tree off, "children" is missing.`,
		Example: `  gazoo tree /app
  gazoo tree --depth 2`,
		Args:              env.Args("[PATH]"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(append(args, "/")[0]); err != nil {
				return err
			}
			if o.depth < walk.Unlimited {
				return exit.Usagef("--depth must not be negative")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.depth, "depth", walk.Unlimited, "levels below PATH, `N`; -1 for all")
	return cmd
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		root, err := o.grow(ctx, zk)
		if err != nil {
			return err
		}
		p := o.env.Printer()
		return p.Show(root, func() {
			p.Line(root.Name)
			draw(p, root, "")
		})
	})
}

// node is a znode of the tree, as JSON has it.
type node struct {
	Name     string  `json:"name"`
	Path     string  `json:"path"`
	Children []*node `json:"children,omitzero"` // nil where it was not looked at
}

// grow reads the tree. What the ACL hides is a node without known children.
func (o *options) grow(ctx context.Context, zk *gazoo.Client) (*node, error) {
	var path []*node // from the root to the node visited last
	for n, err := range walk.Tree(ctx, zk, o.path, o.depth) {
		if err != nil {
			return nil, err
		}
		this := &node{Name: n.Name, Path: n.Path}
		if n.Denied == nil && (o.depth == walk.Unlimited || n.Depth < o.depth) {
			this.Children = []*node{}
		}
		path = append(path[:n.Depth], this)
		if n.Depth > 0 {
			parent := path[n.Depth-1]
			parent.Children = append(parent.Children, this)
		}
	}
	return path[0], nil
}

// draw writes the branches below a node.
func draw(p *output.Printer, n *node, indent string) {
	for i, child := range n.Children {
		elbow, below := "├── ", "│   "
		if i == len(n.Children)-1 {
			elbow, below = "└── ", "    "
		}
		p.Line(indent + elbow + child.Name)
		draw(p, child, indent+below)
	}
}
