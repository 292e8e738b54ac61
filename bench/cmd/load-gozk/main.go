// Command load-gozk puts a load on github.com/go-zookeeper/zk. See -help.
package main

import (
	"github.com/gazoo-zk/gazoo/bench/internal/gozkload"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

func main() { load.Main(gozkload.Client) }
