//go:build !linux

package peer

import "syscall"

// withParent is nothing: a process may outlive the one that started it when that is killed.
var withParent *syscall.SysProcAttr
