package peer

import "syscall"

// withParent makes a process end when the thread ends that started it.
var withParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
