//go:build !unix

package gazoo

import "net"

// pollWriter is not to be had here: the writer's goroutine writes everything.
type pollWriter struct{}

func newPollWriter(net.Conn) *pollWriter { return nil }

func (*pollWriter) write([]byte) (int, error) { panic("gazoo: no such connection") }
