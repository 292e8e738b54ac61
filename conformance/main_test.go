package conformance

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Parallel tests here wait for the clock and need no processor.
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	leak.Main(closing{m})
}

// closing closes the servers that the tests shared.
type closing struct{ m *testing.M }

func (c closing) Run() int {
	code := c.m.Run()
	fmt.Println(report())
	if err := closeServers(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}
