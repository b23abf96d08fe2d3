package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Locks of a local store are files below lockDir that are locked with flock for as long as the process lives, and say who it is.
// They are never removed: who waits for a file that is then removed would hold a lock that nobody sees.
const lockDir = ".locks"

// localLock is a lock file that is locked.
type localLock struct{ f file }

// Lost returns nil: nobody can take a lock of the operating system.
func (l *localLock) Lost() <-chan struct{} { return nil }

// Release gives the file up, and empties it if it can: what it says of an owner counts only as long as it is locked.
func (l *localLock) Release(context.Context) error {
	_ = l.f.Truncate(0)
	return l.f.Close()
}

func (s *local) Lock(ctx context.Context, name string, owner Owner) (Lock, error) {
	if err := checkKey(name); err != nil || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q cannot be the name of a lock", name)
	}
	if err := s.makeDirs(lockDir); err != nil {
		return nil, s.named("make directory", lockDir, err)
	}
	// A live owner is known a moment after it has got the lock, and a look at whether there is one holds it for a moment.
	for wait := time.Millisecond; ; wait *= 2 {
		f, err := s.flock(name, os.O_RDWR|os.O_CREATE, syscall.LOCK_EX)
		if err == nil {
			writeOwner(f, owner)
			return &localLock{f}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, s.named("lock", path.Join(lockDir, name), err)
		}
		held := Held{Name: name, Owner: s.readOwner(name)}
		if isAlive(held.Owner, owner) || wait > time.Second/4 {
			return nil, &LockedError{held}
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// flock opens and locks a lock file, without waiting.
func (s *local) flock(name string, flag, how int) (file, error) {
	f, err := s.disk.OpenFile(path.Join(lockDir, name), flag, fileMode)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// writeOwner says who holds a lock. That it cannot be said, as on a full disk, is no reason not to run: forget makes room.
func writeOwner(f file, owner Owner) {
	data, err := json.Marshal(owner)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(data, '\n'), 0)
	}
	if err != nil {
		_ = f.Truncate(0) // better nothing than a half
	}
}

// readOwner reads who holds a lock, or who held it last if that process died. It is empty if that is not known.
func (s *local) readOwner(name string) Owner {
	var owner Owner
	f, err := s.disk.OpenFile(path.Join(lockDir, name), os.O_RDONLY, 0)
	if err != nil {
		return Owner{}
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&owner); err != nil {
		return Owner{}
	}
	return owner
}

// isAlive reports whether an owner may be alive, as far as can be told here.
func isAlive(owner, here Owner) bool {
	switch {
	case owner.Host == "":
		return false
	case owner.Host != here.Host:
		return true
	case owner.Boot != here.Boot:
		return false
	}
	err := syscall.Kill(owner.PID, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func (s *local) Locks(ctx context.Context) ([]Held, error) {
	entries, err := s.readDir(ctx, lockDir)
	if err != nil {
		return nil, err
	}
	var held []Held
	for _, entry := range entries {
		switch err := s.tryLock(entry.Name()); {
		case errors.Is(err, syscall.EWOULDBLOCK):
			held = append(held, Held{Name: entry.Name(), Owner: s.readOwner(entry.Name())})
		case err != nil:
			return nil, s.named("look at", path.Join(lockDir, entry.Name()), err)
		}
	}
	slices.SortFunc(held, func(a, b Held) int { return strings.Compare(a.Name, b.Name) })
	return held, nil
}

// tryLock fails with EWOULDBLOCK if a lock is held.
func (s *local) tryLock(name string) error {
	f, err := s.flock(name, os.O_RDONLY, syscall.LOCK_SH)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Unlock fails if the lock is held: its owner is alive. Otherwise there is nothing to remove.
func (s *local) Unlock(_ context.Context, name string) error {
	switch err := s.tryLock(name); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return &LockedError{Held{Name: name, Owner: s.readOwner(name)}}
	case err != nil:
		return s.named("look at", path.Join(lockDir, name), err)
	}
	return nil
}
