//go:build !unix

package zkserver

func descriptorLimit() int64 { return -1 }
