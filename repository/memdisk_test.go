package repository

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// memDisk is a disk in memory that knows what has been flushed, so that its power can be cut. Lock files are real ones.
type memDisk struct {
	mu    sync.Mutex
	root  *memDir
	locks *os.Root

	calls int
	// hook is asked before every call. With an error the call does nothing, but for a write, half of which is done.
	hook func(call int, op, name string) error
}

type memDir struct{ entries, flushed map[string]any } // of *memDir and *memFile

type memFile struct {
	data    []byte
	flushed []byte
	dirty   bool
}

func newMemDir() *memDir { return &memDir{entries: map[string]any{}, flushed: map[string]any{}} }

func newMemDisk(locks *os.Root) *memDisk { return &memDisk{root: newMemDir(), locks: locks} }

// lockRoot is where lock files of disks in memory are.
func lockRoot(t testing.TB) *os.Root {
	t.Helper()
	locks, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { locks.Close() })
	return locks
}

// call begins a call, and holds the disk until the function that it returns is called.
func (d *memDisk) call(op, name string) (func(), error) {
	d.mu.Lock()
	d.calls++
	if d.hook != nil {
		if err := d.hook(d.calls, op, name); err != nil {
			d.mu.Unlock()
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	return d.mu.Unlock, nil
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// dir finds a directory.
func (d *memDisk) dir(name string) (*memDir, error) {
	at := d.root
	for part := range strings.SplitSeq(name, "/") {
		if part == "." {
			continue
		}
		switch next := at.entries[part].(type) {
		case *memDir:
			at = next
		case nil:
			return nil, pathError("open", name, fs.ErrNotExist)
		default:
			return nil, pathError("open", name, syscall.ENOTDIR)
		}
	}
	return at, nil
}

func isLockPath(name string) bool { return name == lockDir || strings.HasPrefix(name, lockDir+"/") }

func (d *memDisk) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	done, err := d.call("open", name)
	if err != nil {
		return nil, err
	}
	defer done()
	if isLockPath(name) {
		return d.locks.OpenFile(name, flag, perm)
	}
	dir, err := d.dir(path.Dir(name))
	if err != nil {
		return nil, err
	}
	switch there := dir.entries[path.Base(name)].(type) {
	case *memFile:
		if flag&os.O_EXCL != 0 {
			return nil, pathError("open", name, fs.ErrExist)
		}
		return &memHandle{disk: d, f: there, name: name, read: flag&os.O_WRONLY == 0}, nil
	case nil:
		if flag&os.O_CREATE == 0 {
			return nil, pathError("open", name, fs.ErrNotExist)
		}
		f := &memFile{}
		dir.entries[path.Base(name)] = f
		return &memHandle{disk: d, f: f, name: name}, nil
	}
	return nil, pathError("open", name, syscall.EISDIR)
}

func (d *memDisk) Lstat(name string) (fs.FileInfo, error) {
	done, err := d.call("lstat", name)
	if err != nil {
		return nil, err
	}
	defer done()
	dir, err := d.dir(path.Dir(name))
	if err != nil {
		return nil, err
	}
	node := dir.entries[path.Base(name)]
	if node == nil {
		return nil, pathError("lstat", name, fs.ErrNotExist)
	}
	return memInfo{path.Base(name), node}, nil
}

func (d *memDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	done, err := d.call("readdir", name)
	if err != nil {
		return nil, err
	}
	defer done()
	if isLockPath(name) {
		return fs.ReadDir(d.locks.FS(), name)
	}
	dir, err := d.dir(name)
	if err != nil {
		return nil, err
	}
	var list []fs.DirEntry
	for name, node := range dir.entries {
		list = append(list, fs.FileInfoToDirEntry(memInfo{name, node}))
	}
	return list, nil
}

func (d *memDisk) Mkdir(name string, perm fs.FileMode) error {
	done, err := d.call("mkdir", name)
	if err != nil {
		return err
	}
	defer done()
	if isLockPath(name) {
		return d.locks.Mkdir(name, perm)
	}
	dir, err := d.dir(path.Dir(name))
	if err != nil {
		return err
	}
	if dir.entries[path.Base(name)] != nil {
		return pathError("mkdir", name, fs.ErrExist)
	}
	dir.entries[path.Base(name)] = newMemDir()
	return nil
}

func (d *memDisk) Chmod(name string, perm fs.FileMode) error {
	done, err := d.call("chmod", name)
	if err != nil {
		return err
	}
	done()
	return nil
}

func (d *memDisk) Rename(from, to string) error {
	done, err := d.call("rename", to)
	if err != nil {
		return err
	}
	defer done()
	dir, err := d.dir(path.Dir(from))
	if err != nil || path.Dir(to) != path.Dir(from) || dir.entries[path.Base(from)] == nil {
		return pathError("rename", from, errors.Join(fs.ErrNotExist, err))
	}
	dir.entries[path.Base(to)] = dir.entries[path.Base(from)]
	delete(dir.entries, path.Base(from))
	return nil
}

func (d *memDisk) Remove(name string) error {
	done, err := d.call("remove", name)
	if err != nil {
		return err
	}
	defer done()
	dir, err := d.dir(path.Dir(name))
	if err != nil {
		return err
	}
	switch node := dir.entries[path.Base(name)].(type) {
	case nil:
		return pathError("remove", name, fs.ErrNotExist)
	case *memDir:
		if len(node.entries) > 0 {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
	}
	delete(dir.entries, path.Base(name))
	return nil
}

func (d *memDisk) SyncDir(name string) error {
	done, err := d.call("syncdir", name)
	if err != nil {
		return err
	}
	defer done()
	if isLockPath(name) {
		return nil
	}
	dir, err := d.dir(name)
	if err != nil {
		return err
	}
	dir.flushed = maps.Clone(dir.entries)
	return nil
}

func (d *memDisk) Close() error { return nil }

// memHandle is an open file.
type memHandle struct {
	disk *memDisk
	f    *memFile
	name string
	at   int64
	read bool // for reading
}

func (h *memHandle) Write(p []byte) (int, error) {
	done, err := h.disk.call("write", h.name)
	h.f.dirty = true
	if err != nil {
		h.f.data = append(h.f.data, p[:len(p)/2]...)
		return len(p) / 2, err
	}
	defer done()
	h.f.data = append(h.f.data, p...)
	return len(p), nil
}

func (h *memHandle) Sync() error {
	done, err := h.disk.call("sync", h.name)
	if err != nil {
		return err
	}
	defer done()
	h.f.flushed, h.f.dirty = slices.Clone(h.f.data), false
	return nil
}

func (h *memHandle) Chmod(fs.FileMode) error {
	done, err := h.disk.call("fchmod", h.name)
	if err != nil {
		return err
	}
	done()
	return nil
}

func (h *memHandle) Close() error {
	if h.read {
		return nil
	}
	done, err := h.disk.call("close", h.name)
	if err != nil {
		return err
	}
	done()
	return nil
}

func (h *memHandle) Read(p []byte) (int, error) {
	n, err := h.ReadAt(p, h.at)
	h.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (h *memHandle) ReadAt(p []byte, offset int64) (int, error) {
	done, err := h.disk.call("read", h.name)
	if err != nil {
		return 0, err
	}
	defer done()
	n := copy(p, h.f.data[min(offset, int64(len(h.f.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (h *memHandle) Truncate(int64) error               { return errors.ErrUnsupported }
func (h *memHandle) Fd() uintptr                        { return 0 }

type memInfo struct {
	name string
	node any
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) ModTime() time.Time { return time.Now() }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) IsDir() bool        { return i.Mode().IsDir() }

func (i memInfo) Size() int64 {
	if f, ok := i.node.(*memFile); ok {
		return int64(len(f.data))
	}
	return 0
}

func (i memInfo) Mode() fs.FileMode {
	if _, ok := i.node.(*memDir); ok {
		return fs.ModeDir | dirMode
	}
	return fileMode
}

// cutPower returns the disk as it may be found when the power comes back: what was flushed, and of the rest whatever chance has it. The order
// in which things were done but not flushed means nothing.
func (d *memDisk) cutPower(rnd *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &memDisk{root: d.root.cutPower(rnd, map[*memFile]*memFile{}), locks: d.locks}
}

func (dir *memDir) cutPower(rnd *rand.Rand, seen map[*memFile]*memFile) *memDir {
	after := newMemDir()
	names := map[string]bool{}
	for name := range dir.entries {
		names[name] = true
	}
	for name := range dir.flushed {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		node := dir.flushed[name]
		if now := dir.entries[name]; now != node && rnd.IntN(2) == 0 {
			node = now
		}
		switch node := node.(type) {
		case *memDir:
			after.entries[name] = node.cutPower(rnd, seen)
		case *memFile:
			if seen[node] == nil {
				seen[node] = node.cutPower(rnd)
			}
			after.entries[name] = seen[node]
		}
	}
	after.flushed = maps.Clone(after.entries)
	return after
}

func (f *memFile) cutPower(rnd *rand.Rand) *memFile {
	data := slices.Clone(f.flushed)
	if f.dirty {
		switch rnd.IntN(3) {
		case 0: // all zeros: the length was written, the data not
			data = make([]byte, len(f.data))
		case 1:
			data = slices.Clone(f.data[:rnd.IntN(len(f.data)+1)])
		}
	}
	return &memFile{data: data, flushed: data}
}
