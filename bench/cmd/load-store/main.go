// Command load-store measures a server's data directory: how much memory so many znodes take, how long a start takes,
// and what a snapshot takes and holds up. See -help.
package main

import "github.com/gazoo-zk/gazoo/bench/internal/storeload"

func main() { storeload.Main() }
