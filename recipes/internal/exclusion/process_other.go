//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

// The ensemble does not start here either.
var errNotLinux = errors.New("needs Linux")

func now() instant                                { return 0 }
func startBound(*exec.Cmd, <-chan struct{}) error { return errNotLinux }
func stopProcess(*os.Process) error               { return errNotLinux }
func continueProcess(*os.Process) error           { return errNotLinux }
