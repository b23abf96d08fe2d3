package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// installExtension puts the files of the extension pgberth_test where the host's server finds them.
// Without the right to write there it does nothing, and the samples leave the extension out.
func installExtension(bin string) error {
	out, err := exec.Command(filepath.Join(bin, "pg_config"), "--sharedir").Output()
	if err != nil {
		return fmt.Errorf("pg_config: %w", err)
	}
	target := filepath.Join(strings.TrimSpace(string(out)), "extension")
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(root, "testdata", "extension", "pgberth_test*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		err = installFile(filepath.Join(target, filepath.Base(file)), want)
		if errors.Is(err, os.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// installFile writes a file in one step, for test binaries of other packages may read or write it meanwhile.
func installFile(path string, text []byte) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".pgberth_test")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
