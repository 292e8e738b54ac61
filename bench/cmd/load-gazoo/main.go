// Command load-gazoo puts a load on this project's client. See -help.
package main

import (
	"github.com/gazoo-zk/gazoo/bench/internal/gazooload"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

func main() { load.Main(gazooload.Client) }
