//go:build !gazoo_plants

package plant

// Whether the mistake is made.
const (
	LockIgnoresLoss        = false
	QueueAcknowledgesEarly = false
	ClientForgetsWatch     = false
	ServerSkipsFsync       = false
)
