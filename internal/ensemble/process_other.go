//go:build !linux

package ensemble

import (
	"errors"
	"os"
	"os/exec"
)

var errPlatform = errors.New("needs Linux, for its loopback network and for servers that die with the test process")

func platformErr() error { return errPlatform }

type spawner struct{}

func newSpawner() *spawner               { return &spawner{} }
func (*spawner) start(*exec.Cmd) error   { return errPlatform }
func (*spawner) close()                  {}
func pauseProcess(*os.Process) error     { return errPlatform }
func resumeProcess(*os.Process) error    { return errPlatform }
func terminateProcess(*os.Process) error { return errPlatform }
func lockDir(string) (*os.File, error)   { return nil, errPlatform }
