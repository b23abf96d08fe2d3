package repository

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// A disk is all that the local store does to its directory. Names are relative to it and cannot lead out of it. Tests
// put one in that fails.
type disk interface {
	OpenFile(name string, flag int, perm fs.FileMode) (file, error)
	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Mkdir(name string, perm fs.FileMode) error
	Chmod(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(name string) error
	Close() error
}

// A file is an open file of a disk.
type file interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.WriterAt
	Fd() uintptr
	Truncate(size int64) error
	Chmod(perm fs.FileMode) error
	Sync() error
}

// rootDisk is a directory of the operating system.
type rootDisk struct{ *os.Root }

func (d rootDisk) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	f, err := d.Root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // not a file that is nil
	}
	return f, nil
}

func (d rootDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}

func (d rootDisk) SyncDir(name string) error {
	f, err := d.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
