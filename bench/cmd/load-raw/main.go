// Command load-raw replays the requests of a load over a bare socket, as the limit for every client. See -help.
package main

import (
	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/bench/internal/rawload"
)

func main() { load.Main(rawload.Client) }
