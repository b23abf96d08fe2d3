package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// entries lists a directory.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
	}
	return names
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	for _, text := range []string{"first", "second"} {
		if err := WriteFile(name, 0o640, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Error(names)
	}
}

func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := WriteFile(name, 0o600, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Error(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Error(names)
	}
	if err := WriteFile(filepath.Join(dir, "missing", "a"), 0o600, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPublishDir(t *testing.T) {
	parent := t.TempDir()
	tmp := func() string {
		dir, err := os.MkdirTemp(parent, "tmp")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	name := filepath.Join(parent, "final")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := PublishDir(tmp(), name); err != nil {
		t.Fatal(err)
	}
	if names := entries(t, name); len(names) != 1 {
		t.Error(names)
	}
	// A directory with files in it, or a file, is left alone.
	if err := PublishDir(tmp(), name); err == nil {
		t.Error("published over a directory that is not empty")
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := PublishDir(tmp(), file); err == nil {
		t.Error("published over a file")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
}
