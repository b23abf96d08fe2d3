package nightly_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// Containers say by their labels that they want backups, of what, and how many.
func TestDiscover(t *testing.T) {
	t.Parallel()
	project := strings.ToLower(pgtest.NewName("project"))
	label := func(name, value string) pgtest.Option { return pgtest.DockerArgs("--label", name+"="+value) }
	pg := pgtest.Container(t, 17, label("com.docker.compose.project", project), label("pgberth.backup", "true"),
		label("pgberth.databases", "shop"), label("pgberth.keep-last", "1"))
	pg.Exec(t, "postgres", "CREATE DATABASE shop")
	pg.Exec(t, "postgres", "CREATE DATABASE other")
	pg.Exec(t, "shop", "CREATE TABLE games AS SELECT n AS id FROM generate_series(1, 100) n")
	host := pgtest.Host(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "pgberth.yaml")
	text := "repository: " + dir + "/{job}\njobs:\n  containers:\n    discover: labels\n    project: " + project + "\n" +
		"  host:\n    from: " + host.URL("postgres") + "\n    databases: [postgres]\n    globals: false\n    limits: {max_fall: 100%}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, append(args, "--config", file)...))
		if status != want {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, status, want, stdout, stderr)
		}
		return stdout + stderr
	}
	for range 2 {
		run(0, "nightly", "--job", "containers")
	}
	repo := filepath.Join(dir, pg.Container)
	status, list, stderr := pgtest.Status(t, pgtest.Pgberth(t, "list", "--repo", repo, "--db", "shop"))
	if status != 0 || strings.Count(list, "shop/") != 1 || !strings.Contains(list, "100") {
		t.Errorf("one backup of shop is kept: status %d\n%s%s", status, list, stderr)
	}
	if _, list, _ := pgtest.Status(t, pgtest.Pgberth(t, "list", "--repo", repo)); strings.Contains(list, "other/") {
		t.Errorf("what the label does not name was backed up:\n%s", list)
	}
	run(0, "check", "--job", "containers")

	// One with a label that is wrong, and one that is called as another job, fail alone.
	odd := pgtest.Container(t, 17, pgtest.NoWait(), label("com.docker.compose.project", project), label("pgberth.backup", "true"), label("pgberth.keep-dayly", "7"))
	double := pgtest.Container(t, 17, pgtest.NoWait(), label("com.docker.compose.project", project), label("pgberth.backup", "true"))
	clash := filepath.Join(dir, "clash.yaml")
	if err := os.WriteFile(clash, []byte(strings.Replace(text, "\n  host:", "\n  "+double.Container+":", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, "nightly", "--summary", "--config", clash))
	for _, want := range []string{odd.Container + `": label pgberth.keep-dayly: want`, double.Container + `" cannot be backed up: job ` + double.Container} {
		if status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("status %d, want %s\n%s%s", status, want, stdout, stderr)
		}
	}
	for _, done := range []string{pg.Container + "/shop", double.Container + "/postgres"} {
		if status, _, stderr := pgtest.Status(t, pgtest.Pgberth(t, "check", "--repo", filepath.Join(dir, filepath.Dir(done)), "--db", filepath.Base(done), "--max-age", "1h")); status != 0 {
			t.Errorf("%s was not backed up: status %d, %s", done, status, stderr)
		}
	}

	// One that is stopped is missed, and one that is gone leaves none: neither is silence.
	pg.Kill(t)
	if out := run(1, "nightly", "--job", "containers"); !strings.Contains(out, "docker start "+pg.Container) {
		t.Errorf("a stopped container: %s", out)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, project, "no_such_project", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(1, "nightly", "--summary"); !strings.Contains(out, "no container has the label pgberth.backup=true") {
		t.Errorf("no container: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "containers")); !os.IsNotExist(err) {
		t.Errorf("a repository was made for nothing: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "host")); err != nil || len(entries) == 0 {
		t.Errorf("the other job was not done: %v", err)
	}
}
