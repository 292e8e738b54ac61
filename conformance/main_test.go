package conformance

import (
	"fmt"
	"os"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(closing{m}) }

// closing closes the servers that the tests shared.
type closing struct{ m *testing.M }

func (c closing) Run() int {
	code := c.m.Run()
	if err := closeServers(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}
