//go:build unix && !linux

package pgtest

import "syscall"

// dieWithParent cannot do what its name says outside Linux: a killed test binary leaves its server running.
func dieWithParent(account *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: account}
}
