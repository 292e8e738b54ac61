//go:build !unix

package zkserver

// canTry says that sockets can be written without waiting.
const canTry = false

func (a *attempt) write(uintptr) bool { return true }
