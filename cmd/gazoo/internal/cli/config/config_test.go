package config

import (
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

const text = `server.1=zk1:2888:3888|zk1b:2888:3888:participant;zk1:2181
server.2=zk2:2888:3888:observer
version=10000000a`

func TestShow(t *testing.T) {
	cfg, err := gazoo.ParseEnsembleConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{
		env.OutputText: "1\tparticipant\tzk1:2888:3888|zk1b:2888:3888\tzk1:2181\n2\tobserver\tzk2:2888:3888\t-\n",
		env.OutputJSON: `{"version":"10000000a","members":[` +
			`{"id":1,"role":"participant","quorum":["zk1:2888:3888","zk1b:2888:3888"],"client":"zk1:2181"},` +
			`{"id":2,"role":"observer","quorum":["zk2:2888:3888"],"client":""}]}` + "\n",
	} {
		var out strings.Builder
		e := env.New(env.Streams{Out: &out}, nil)
		e.Options.Output = output
		if err := show(&options{env: e}, cfg); err != nil || out.String() != want {
			t.Errorf("show as %s printed %q, %v; want %q", output, out.String(), err, want)
		}
	}
}
