package peers

import "syscall"

// endWithParent lets no server outlive the benchmark.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
