package repository

import (
	"testing"
)

func openTestLocal(t *testing.T, dir string) *local {
	t.Helper()
	s, err := openLocal(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestLocalStore(t *testing.T) {
	dirs := map[string]string{}
	testStore(t, func(t *testing.T) Store {
		if dirs[t.Name()] == "" {
			dirs[t.Name()] = t.TempDir()
		}
		return openTestLocal(t, dirs[t.Name()])
	})
}
