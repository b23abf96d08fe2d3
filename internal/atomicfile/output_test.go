package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestWriteOutput(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	text := func(w io.Writer) error { _, err := io.WriteString(w, "text"); return err }
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("file"), []byte("before, and longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	link("file", "link")
	link(at("link"), "link2")
	link("new", "dangling")
	for name, file := range map[string]string{"file": "file", "link": "file", "link2": "file", "dangling": "new", "none": "none"} {
		if err := errors.Join(CheckOutput(at(name)), WriteOutput(at(name), 0o644, text)); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(at(file)); err != nil || string(got) != "text" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if info, err := os.Lstat(at(name)); err != nil || (info.Mode()&fs.ModeSymlink != 0) != (name != file) {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if names := entries(t, dir); len(names) != 6 {
		t.Error(names)
	}

	// What is no file stays what it is.
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	link("/dev/null", "null")
	link("loop", "loop")
	for name, want := range map[string]string{at("pipe"): "nobody reads from it", "/dev/full": "no space left", at("loop"): "too many", dir: "is a directory", at("null"): ""} {
		before, _ := os.Lstat(name)
		err := WriteOutput(name, 0o644, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
		if after, err := os.Lstat(name); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced: %v", name, err)
		}
	}
	reader, err := os.OpenFile(at("pipe"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(CheckOutput(at("pipe")), WriteOutput(at("pipe"), 0o644, text)); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(reader); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	reader.Close()
	if err := errors.Join(CheckOutput(at("no/file")), CheckOutputDir(at("no/dir"))); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "\n") > 0 {
		t.Error(err) // of the file alone
	}
	if err := CheckOutputDir(at("file/dir")); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
}

// What a descriptor leads to is written to where it is, though it may be a regular file.
func TestWriteOutputDescriptor(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd())))
	for _, s := range []string{"one ", "two"} {
		if err := WriteOutput(name, 0o644, func(w io.Writer) error { _, err := io.WriteString(w, s); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(f.Name()); err != nil || string(got) != "one two" {
		t.Errorf("%q, %v", got, err)
	}
}
