//go:build !linux

package ensemble

import (
	"errors"
	"os"
)

var errPlatform = errors.New("needs Linux, for its loopback network and for servers that die with the test process")

func platformErr() error { return errPlatform }

func terminateProcess(*os.Process) error { return errPlatform }
func lockDir(string) (*os.File, error)   { return nil, errPlatform }
