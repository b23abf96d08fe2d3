package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeTimeout is how long a reader of a pipe may take none of what is written.
const pipeTimeout = time.Minute

// WriteOutput writes a file that a user has named, through write. A regular file, or none, is written as by [WriteFile]; in the
// place of a symbolic link, which stays, the file that it leads to. Anything else, a device, a pipe, what /dev/stdout stands for, is never replaced but
// written to. A pipe must have a reader, who is not waited for.
func WriteOutput(name string, perm fs.FileMode, write func(io.Writer) error) error {
	o, err := findOutput(name)
	if err != nil {
		return err
	}
	if o.regular {
		return WriteFile(o.path, perm, write)
	}
	if err := writeInto(o.path, write); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// CheckOutput reports what would keep [WriteOutput] from writing a file. It leaves everything as it was.
func CheckOutput(name string) error {
	o, err := findOutput(name)
	if err != nil {
		return err
	}
	if o.regular {
		return checkDir(filepath.Dir(o.path))
	}
	if err := unix.Faccessat(unix.AT_FDCWD, o.path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// CheckOutputDir reports what would keep files from being written into a directory, which need not be there yet. It leaves everything as it was.
func CheckOutputDir(name string) error {
	name, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	for {
		_, err := os.Lstat(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return checkDir(name)
		}
		name = filepath.Dir(name)
	}
}

// checkDir makes a file in a directory.
func checkDir(dir string) error {
	f, err := os.CreateTemp(dir, ".pgberth-check-")
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write into", Path: dir, Err: failed.Err}
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// An output is where a name leads to.
type output struct {
	path    string
	regular bool // or nothing yet: to be replaced
}

// maxLinks is how many links the kernel follows.
const maxLinks = 40

// findOutput follows symbolic links, also to what is not there yet.
func findOutput(name string) (output, error) {
	path := name
	for range maxLinks {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return output{path, true}, nil
		case err != nil:
			return output{}, err
		case info.IsDir():
			return output{}, &fs.PathError{Op: "write", Path: name, Err: syscall.EISDIR}
		case info.Mode().IsRegular():
			return output{path, true}, nil
		case info.Mode()&fs.ModeDevice != 0 && info.Mode()&fs.ModeCharDevice == 0:
			return output{}, fmt.Errorf("%s is a disk, which is not written to", name)
		case info.Mode()&fs.ModeSymlink == 0 || isDescriptor(path):
			return output{path, false}, nil
		}
		target, err := os.Readlink(path)
		if err != nil {
			return output{}, err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return output{}, &fs.PathError{Op: "write", Path: name, Err: syscall.ELOOP}
}

// isDescriptor reports whether a path stands for a file that a process has open, as that behind /dev/stdout does. It looks like a
// symbolic link, and need not lead to a name.
func isDescriptor(path string) bool {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return err == nil && (strings.HasPrefix(dir, "/proc/") || dir == "/dev/fd")
}

// ownDescriptor is the number of the file that this process has open and a path stands for, or -1.
func ownDescriptor(path string) int {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	own, ownErr := filepath.EvalSymlinks("/proc/self/fd")
	n, numberErr := strconv.Atoi(filepath.Base(path))
	if err != nil || ownErr != nil || numberErr != nil || dir != own {
		return -1
	}
	return n
}

// writeInto writes to what is there.
func writeInto(path string, write func(io.Writer) error) error {
	f, err := open(path)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("nobody reads from it: %w", err)
	}
	if err != nil {
		return err
	}
	err = f.SetWriteDeadline(time.Now().Add(pipeTimeout))
	if err == nil || errors.Is(err, os.ErrNoDeadline) {
		err = write(f)
	}
	return errors.Join(err, f.Close())
}

func open(path string) (*os.File, error) {
	if n := ownDescriptor(path); n >= 0 {
		own, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0) // at the place that it has come to, if it is a file
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return os.NewFile(uintptr(own), path), nil
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
