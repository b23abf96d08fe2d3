package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgberth/pgberth/internal/atomicfile"
)

// local is a store in a directory. Keys are paths of regular files below it. A file is written beside its final name, flushed,
// renamed, and its directory flushed, so that whenever the machine dies it is there whole or not at all.
type local struct {
	path string
	disk disk

	mu      sync.Mutex
	durable map[string]bool // directories whose names are known to be on the disk
}

var _ Store = (*local)(nil)

// openLocal opens the store in a directory, and makes it first if it is to.
func openLocal(dir string, create bool) (*local, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, notFound("there is no repository at " + dir)
		}
		if err := makeDirs(dir); err != nil {
			return nil, fmt.Errorf("make repository: %w", err)
		}
		root, err = os.OpenRoot(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return newLocal(dir, rootDisk{root}), nil
}

func newLocal(path string, disk disk) *local {
	return &local{path: path, disk: disk, durable: map[string]bool{".": true}}
}

// makeDirs makes a directory and those it is in, all durable.
func makeDirs(dir string) error {
	parent := filepath.Dir(dir)
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeDirs(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	if err := os.Chmod(dir, dirMode); err != nil { // the umask may have taken more
		return err
	}
	return atomicfile.SyncDir(parent)
}

const (
	dirMode  = 0o700
	fileMode = 0o600
)

func (s *local) String() string { return s.path }
func (s *local) Close() error   { return s.disk.Close() }

// checkKey holds a key to the rules of [Store]. Whatever it says, nothing outside of the directory is ever opened.
func checkKey(key string) error {
	for name := range strings.SplitSeq(key, "/") {
		if name == "" || name[0] == '.' || strings.IndexByte(name, 0) >= 0 {
			return fmt.Errorf("%q is not a key", key)
		}
	}
	return nil
}

// named says where something failed.
func (s *local) named(verb, key string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // its path is relative
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	return fmt.Errorf("%s %s: %w", verb, filepath.Join(s.path, filepath.FromSlash(key)), err)
}

func (s *local) Create(ctx context.Context, key string, _ int64) (Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	tmp := path.Join(path.Dir(key), temporary(path.Base(key)))
	f, err := s.createIn(path.Dir(key), tmp)
	if errors.Is(err, fs.ErrNotExist) { // another process has found the directory empty and removed it
		s.forget(path.Dir(key))
		f, err = s.createIn(path.Dir(key), tmp)
	}
	if err != nil {
		return nil, s.named("create", key, err)
	}
	w := &localWriter{store: s, ctx: ctx, key: key, tmp: tmp, f: f}
	if err := f.Chmod(fileMode); err != nil { // the umask may have taken more
		return nil, errors.Join(s.named("create", key, err), w.Abort())
	}
	return w, nil
}

// temporary is a name beside that of a file, for as long as it is being written.
func temporary(name string) string {
	return "." + name + "." + strconv.FormatUint(rand.Uint64(), 10) + ".tmp"
}

// isTemporary reports whether a name is like those that temporary returns.
func isTemporary(name string) bool {
	rest, isTmp := strings.CutSuffix(name, ".tmp")
	number := rest[strings.LastIndexByte(rest, '.')+1:]
	return isTmp && name[0] == '.' && number != "" && strings.Trim(number, "0123456789") == ""
}

// createIn creates a file in a directory, which it makes if need be.
func (s *local) createIn(dir, name string) (file, error) {
	if err := s.makeDirs(dir); err != nil {
		return nil, err
	}
	return s.disk.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

// forget makes the store look again whether a directory and those it is in are there.
func (s *local) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; dir != "."; dir = path.Dir(dir) {
		delete(s.durable, dir)
	}
}

// makeDirs makes a directory below the store and those it is in, all durable. One that is there may have been made by a run that
// was killed before it was.
func (s *local) makeDirs(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeDurable(dir)
}

func (s *local) makeDurable(dir string) error {
	if s.durable[dir] {
		return nil
	}
	parent := path.Dir(dir)
	if err := s.makeDurable(parent); err != nil {
		return err
	}
	switch err := s.disk.Mkdir(dir, dirMode); {
	case err == nil:
		if err := s.disk.Chmod(dir, dirMode); err != nil { // the umask may have taken more
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if err := s.disk.SyncDir(parent); err != nil {
		return err
	}
	s.durable[dir] = true
	return nil
}

// localWriter writes a file beside its final name.
type localWriter struct {
	store *local
	ctx   context.Context
	key   string
	tmp   string // empty once it has its final name, or is removed
	f     file   // nil once closed
	err   error  // of a write: what was not written must not be committed
}

func (w *localWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, context.Cause(w.ctx)
	}
	n, err := w.f.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = w.store.named("write", w.key, err)
	}
	return n, w.err
}

func (w *localWriter) Commit() error {
	err := w.err
	if err == nil && w.ctx.Err() != nil {
		err = context.Cause(w.ctx)
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return nil
}

func (w *localWriter) commit() error {
	err := w.f.Sync()
	if closed := w.f.Close(); err == nil {
		err = closed
	}
	w.f = nil
	if err != nil {
		return w.store.named("flush", w.key, err)
	}
	if err := w.store.disk.Rename(w.tmp, w.key); err != nil {
		return w.store.named("rename to", w.key, err)
	}
	w.tmp = ""
	if err := w.store.disk.SyncDir(path.Dir(w.key)); err != nil {
		return w.store.named("flush the directory of", w.key, err)
	}
	return nil
}

func (w *localWriter) Abort() error {
	var err error
	if w.f != nil {
		w.f.Close() // what was written is not wanted
		w.f = nil
	}
	if w.tmp != "" {
		err = w.store.disk.Remove(w.tmp)
		w.tmp = ""
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return w.store.named("remove what was written of", w.key, err)
	}
	return nil
}

func (s *local) Open(ctx context.Context, key string) (Reader, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	info, err := s.disk.Lstat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file") // a FIFO would block, a link lead elsewhere
	}
	if err != nil {
		return nil, s.named("open", key, err)
	}
	f, err := s.disk.OpenFile(key, os.O_RDONLY, 0)
	if err != nil {
		return nil, s.named("open", key, err)
	}
	return &localReader{store: s, ctx: ctx, key: key, f: f, size: info.Size()}, nil
}

type localReader struct {
	store *local
	ctx   context.Context
	key   string
	f     file
	size  int64
}

func (r *localReader) Size() int64 { return r.size }

func (r *localReader) Read(p []byte) (int, error) {
	return r.read(func() (int, error) { return r.f.Read(p) })
}

func (r *localReader) ReadAt(p []byte, offset int64) (int, error) {
	return r.read(func() (int, error) { return r.f.ReadAt(p, offset) })
}

func (r *localReader) read(read func() (int, error)) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := read()
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.store.named("read", r.key, err)
	}
	return n, err
}

func (r *localReader) Close() error { return r.f.Close() }

func (s *local) List(ctx context.Context, prefix string) ([]Object, error) {
	var objects []Object
	err := s.walk(ctx, cleanPrefix(prefix), func(key string, entry fs.DirEntry) error {
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		objects = append(objects, Object{Key: key, Size: info.Size()})
		return nil
	})
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return objects, err
}

// cleanPrefix is the directory of a prefix.
func cleanPrefix(prefix string) string { return path.Clean("./" + prefix) }

// readDir returns what is in a directory: nothing in one that is not there.
func (s *local) readDir(ctx context.Context, dir string) ([]fs.DirEntry, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	entries, err := s.disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.named("list", dir, err)
	}
	return entries, nil
}

// walk visits what is below a directory, but for the store's own files. What goes away meanwhile is passed over.
func (s *local) walk(ctx context.Context, dir string, visit func(key string, entry fs.DirEntry) error) error {
	entries, err := s.readDir(ctx, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		key := path.Join(dir, entry.Name())
		if isOwn(entry.Name()) {
			continue
		}
		if entry.IsDir() {
			if err := s.walk(ctx, key, visit); err != nil {
				return err
			}
		}
		if err := visit(key, entry); err != nil {
			return s.named("list", key, err)
		}
	}
	return nil
}

// isOwn reports whether a name is that of a file of the store's own, or no key of anybody's.
func isOwn(name string) bool { return name[0] == '.' }

func (s *local) Folders(ctx context.Context, prefix string) ([]string, error) {
	entries, err := s.readDir(ctx, cleanPrefix(prefix))
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() && !isOwn(entry.Name()) {
			folders = append(folders, entry.Name())
		}
	}
	slices.Sort(folders)
	return folders, nil
}

func (s *local) Remove(ctx context.Context, keys ...string) error {
	dirs := map[string]bool{}
	for _, key := range keys {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := checkKey(key); err != nil {
			return err
		}
		switch err := s.disk.Remove(key); {
		case err == nil:
			dirs[path.Dir(key)] = true
		case !errors.Is(err, fs.ErrNotExist):
			return s.named("remove", key, err)
		}
	}
	for dir := range dirs {
		if err := s.disk.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.named("flush", dir, err)
		}
	}
	return nil
}

// Sweep removes temporary files and empty directories, the directory of the prefix among them.
func (s *local) Sweep(ctx context.Context, prefix string) error {
	return s.sweep(ctx, cleanPrefix(prefix))
}

func (s *local) sweep(ctx context.Context, dir string) error {
	entries, err := s.readDir(ctx, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.IsDir() && !isOwn(entry.Name()):
			err = s.sweep(ctx, name)
		case entry.Type().IsRegular() && isTemporary(entry.Name()):
			if err = s.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				err = s.named("remove", name, err)
			} else {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	if dir == "." {
		return nil
	}
	return s.removeEmpty(dir)
}

// removeEmpty removes a directory if nothing is in it.
func (s *local) removeEmpty(dir string) error {
	entries, err := s.disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) > 0 {
		return nil
	}
	if err == nil {
		s.forget(dir)
		err = s.disk.Remove(dir)
	}
	if err == nil {
		err = s.disk.SyncDir(path.Dir(dir))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.named("remove", dir, err)
	}
	return nil
}
