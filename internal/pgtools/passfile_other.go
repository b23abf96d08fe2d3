//go:build !linux

package pgtools

import (
	"fmt"
	"os"
	"os/exec"
)

// passFile writes a password file for cmd and returns its name.
func passFile(_ *exec.Cmd, text string, _, _ int) (name string, done func(), err error) {
	f, err := os.CreateTemp("", "pgberth-") // mode 0600
	if err != nil {
		return "", nil, fmt.Errorf("make the password file for pg_dump: %w", err)
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
		return "", nil, fmt.Errorf("write the password file for pg_dump: %w", err)
	}
	return f.Name(), func() { os.Remove(f.Name()) }, nil
}
