package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTryLock(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "backup")
	lock, err := TryLock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	other, err := TryLock(name + "2")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Lock{lock, other} {
		if err := l.Unlock(); err != nil {
			t.Error(err)
		}
	}
	if left := entries(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	// What a killed process leaves is in nobody's way.
	if err := os.WriteFile(filepath.Join(dir, ".backup.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if lock, err = TryLock(name); err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := TryLock(filepath.Join(dir, "missing", "backup")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestRemoveStale(t *testing.T) {
	dir := t.TempDir()
	stays := []string{".backup.lock", ".backup.old.123.tmp", ".backup.tmp", ".backup2.123.tmp", "backup", "backup.123.tmp"}
	for _, name := range append(stays, ".backup.123.tmp") {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".backup.456.tmp", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := RemoveStale(filepath.Join(dir, "backup")); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, dir); !slices.Equal(left, stays) {
		t.Errorf("left %v, want %v", left, stays)
	}
}
