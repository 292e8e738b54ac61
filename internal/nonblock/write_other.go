//go:build !unix

package nonblock

const supported = false

func write(int, []byte) (int, error) { panic("nonblock: there is no such connection here") }
