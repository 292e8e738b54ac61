//go:build gazoo_plants

package plant

import "os"

var chosen = os.Getenv(Env)

// Whether the mistake is made.
var (
	LockIgnoresLoss        = chosen == Lock
	QueueAcknowledgesEarly = chosen == Queue
	ClientForgetsWatch     = chosen == Watch
	ServerSkipsFsync       = chosen == Fsync
)
