package drill_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pgberth/pgberth/drill"
)

// Folders of drills that were killed before they could write whose they are go too; others stay.
func TestReapFolders(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead, alive := gone.Process.Pid, os.Getpid()
	folder := func(name string, files map[string]string) string {
		dir := filepath.Join(temp, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	go1 := folder(fmt.Sprintf("pgberth-drill-server-%d-1", dead), nil)
	go2 := folder(fmt.Sprintf("pgberth-drill-server-%d-2", dead), map[string]string{"owner": ""})
	folder(fmt.Sprintf("pgberth-drill-server-%d-kept", dead), map[string]string{"log": "kept by its user"})
	folder(fmt.Sprintf("pgberth-drill-server-%d-elsewhere", dead), map[string]string{"owner": "boot/namespace/1/1"})
	folder(fmt.Sprintf("pgberth-drill-server-%d-begun", alive), nil)
	folder("pgberth-drill-server-mine", nil)

	removed, err := drill.Reap(t.Context())
	if want := []string{"folder " + go1, "folder " + go2}; err != nil || !slices.Equal(removed, want) {
		t.Errorf("removed %q, want %q; %v", removed, want, err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 4 {
		t.Errorf("left %v, want the other four; %v", left, err)
	}
}
