//go:build !linux

package main

// now is of no use: the ensemble does not start here either.
func now() instant { return 0 }
