//go:build !linux

// Package monotonic reads the clock that all processes of a machine share. It needs Linux.
package monotonic

// Now is of no use: the ensembles of the tests that need it do not start here either.
func Now() int64 { return 0 }
