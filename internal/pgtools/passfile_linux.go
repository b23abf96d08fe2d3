package pgtools

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// passFile hands cmd a password file that only exists in memory: not even a
// kill leaves it behind. It returns the file's name in the child.
func passFile(cmd *exec.Cmd, text string, uid, gid int) (name string, done func(), err error) {
	fd, err := unix.MemfdCreate("pgpass", unix.MFD_CLOEXEC)
	if err != nil {
		return "", nil, fmt.Errorf("make the password file for pg_dump: %w", err)
	}
	f := os.NewFile(uintptr(fd), "pgpass")
	// libpq wants a file that others may not read.
	if err = f.Chmod(0o600); err == nil {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		f.Close()
		return "", nil, fmt.Errorf("write the password file for pg_dump: %w", err)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	return fmt.Sprintf("/proc/self/fd/%d", 2+len(cmd.ExtraFiles)), func() { f.Close() }, nil
}
