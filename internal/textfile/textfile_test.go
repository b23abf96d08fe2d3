package textfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWrite(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	size := &Gauge{Name: "pgberth_backup_bytes", Help: `size of a backup \ "stored"`}
	size.Add(1.5e9, "job", "shop", "database", "a \"b\\\nc\xff")
	size.Add(0)
	dir := t.TempDir()
	path := filepath.Join(dir, "pgberth.prom")
	for range 2 {
		if err := Write(path, []*Gauge{size, {Name: "pgberth_none", Help: "no samples"}}); err != nil {
			t.Fatal(err)
		}
	}
	const want = `# HELP pgberth_backup_bytes size of a backup \\ "stored"
# TYPE pgberth_backup_bytes gauge
pgberth_backup_bytes{job="shop",database="a \"b\\\nc?"} 1500000000
pgberth_backup_bytes 0
`
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("got\n%s, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Error(files, err)
	}
}
