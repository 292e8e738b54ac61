package demo

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

// stage is where the demo plays: two clients, one behind proxies and one that watches it from
// outside, and the narrator.
type stage struct {
	env     *env.Env
	hosts   string
	out     *output.Printer
	proxies *proxies

	witness *gazoo.Client // connected directly
	whole   *gazoo.Client // through the proxies
	home    string        // the demo's own znode
	zk      *gazoo.Client // view of whole below home
	other   *gazoo.Client // view of witness below home

	stream *gazoo.Stream // watches everything below home

	number int
	title  string
	lines  []string
}

// scene is one step of the demo. Its error is what did not happen.
type scene struct {
	title string
	play  func(*stage, context.Context) error
}

func (s *stage) play(ctx context.Context) error {
	for _, scene := range scenes {
		s.number, s.title, s.lines = s.number+1, scene.title, nil
		if !s.out.JSON() {
			s.out.Line(strconv.Itoa(s.number) + ". " + s.title)
		}
		err := s.act(ctx, scene)
		if s.out.JSON() {
			s.out.Object(struct {
				Step  int      `json:"step"`
				Title string   `json:"title"`
				Lines []string `json:"lines"`
			}{s.number, s.title, s.lines})
		}
		if ferr := s.out.Flush(); ferr != nil {
			return ferr
		}
		if err != nil {
			return exit.Explain(err, "step %d, %s: %s", s.number, s.title, exit.Message(err))
		}
	}
	return nil
}

func (s *stage) act(ctx context.Context, scene scene) error {
	ctx, cancel := s.env.Bound(ctx)
	defer cancel()
	return scene.play(s, ctx)
}

// say tells what happened.
func (s *stage) say(format string, a ...any) {
	line := fmt.Sprintf(format, a...)
	s.lines = append(s.lines, line)
	if !s.out.JSON() {
		s.out.Line("   " + line)
		s.out.Flush()
	}
}

// expect returns an error unless what should have happened did.
func expect(ok bool, format string, a ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, a...)
}

// cleanUp leaves nothing behind when the demo ends early; after its last scene nothing is left to
// do. It works after an interrupt, too.
func (s *stage) cleanUp(ctx context.Context) {
	ctx, cancel := s.env.Bound(context.WithoutCancel(ctx))
	defer cancel()
	if s.whole != nil {
		s.proxies.mend()
		s.whole.CloseNow()
	}
	if s.witness == nil {
		return
	}
	if s.home != "" {
		if err := s.witness.DeleteRecursive(ctx, s.home, nil); err != nil {
			s.env.Say("could not clean up %s: %s", s.home, exit.Message(err))
		}
	}
	s.witness.CloseContext(ctx)
}
