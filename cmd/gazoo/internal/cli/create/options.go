package create

import (
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// check completes the options and finds what does not go together.
func (o *options) check(path string) (err error) {
	if o.path, err = o.env.Path(path); err != nil {
		return err
	}
	if o.sequential && strings.HasSuffix(path, "/") && o.path != "/" {
		o.path += "/" // the name is the number alone
	}
	switch {
	case o.ephemeral && o.container, o.ephemeral && o.ttl != 0, o.container && o.ttl != 0:
		return exit.Usagef("--ephemeral, --container and --ttl exclude each other")
	case o.container && o.sequential:
		return exit.Usagef("--container and --sequential exclude each other")
	case o.ttl < 0:
		return exit.Usagef("--ttl must be positive, not %v", o.ttl)
	}
	_, err = o.createOptions()
	return err
}

// createOptions says it in the client's words.
func (o *options) createOptions() ([]gazoo.CreateOption, error) {
	var opts []gazoo.CreateOption
	for _, choice := range []struct {
		on  bool
		opt gazoo.CreateOption
	}{
		{o.parents, gazoo.Parents()},
		{o.ephemeral, gazoo.Ephemeral()},
		{o.sequential, gazoo.Sequential()},
		{o.container, gazoo.Container()},
		{o.protected, gazoo.Protected()},
	} {
		if choice.on {
			opts = append(opts, choice.opt)
		}
	}
	if o.ttl != 0 {
		opts = append(opts, gazoo.TTL(o.ttl))
	}
	if o.acl != "" {
		acl, err := gazoo.ParseACL(o.acl)
		if err != nil {
			return nil, exit.Usagef("--acl: %v", err)
		}
		opts = append(opts, gazoo.WithACL(acl...))
	}
	return opts, nil
}
