// Command gazoo is a command-line tool for Apache ZooKeeper.
package main

import (
	"os"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

func main() { os.Exit(cli.Main(os.Args[1:], env.System())) }
