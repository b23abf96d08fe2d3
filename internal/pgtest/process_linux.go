package pgtest

import "syscall"

// dieWithParent makes a server shut down when the test binary is killed.
func dieWithParent(account *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: account, Pdeathsig: syscall.SIGINT}
}
