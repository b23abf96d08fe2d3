package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrLocked reports that another process is writing the same name.
var ErrLocked = errors.New("locked")

// A Lock keeps other processes from writing a name. It is a file beside that name, locked for as long as the
// process lives.
type Lock struct{ f *os.File }

// TryLock locks a name, or fails with an error that wraps ErrLocked.
func TryLock(name string) (*Lock, error) {
	path := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".lock")
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EWOULDBLOCK):
			f.Close() // nothing was written
			return nil, fmt.Errorf("%s is being written by another process: %w", name, ErrLocked)
		case err != nil:
			f.Close() // nothing was written
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		// Whoever held it may have removed the file since it was opened here.
		if isAt(f, path) {
			return &Lock{f}, nil
		}
		f.Close() // nothing was written
	}
}

func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

// Unlock removes the file, and with it the lock.
func (l *Lock) Unlock() error {
	return errors.Join(os.Remove(l.f.Name()), l.f.Close())
}

// RemoveStale removes what processes that were killed have left of a name, which must be locked.
func RemoveStale(name string) error {
	dir, base := filepath.Dir(name), filepath.Base(name)
	found, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for what is left of %s: %w", name, err)
	}
	for _, f := range found {
		if !isTemporary(f.Name(), base) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
			return fmt.Errorf("remove what is left of %s: %w", name, err)
		}
	}
	return nil
}

// isTemporary reports whether a name is a temporary one of base, and not one of a name that base starts.
func isTemporary(name, base string) bool {
	random, found := strings.CutPrefix(name, "."+base+".")
	number, isTmp := strings.CutSuffix(random, ".tmp")
	return found && isTmp && number != "" && strings.Trim(number, "0123456789") == ""
}
