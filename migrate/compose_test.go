package migrate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// One command brings up a service that publishes nothing, as its file, its override and .env have it, and moves the database in: here,
// and on a machine that is reached by ssh.
func TestComposeService(t *testing.T) {
	source := pgtest.Host(t)
	db := pgtest.Banker(t, source, 1)
	const query = "SELECT count(*), sum(hands), md5(string_agg(g::text, ',' ORDER BY g)) FROM game_totals g"
	want := source.Row(t, db, query)
	for name, host := range map[string]string{"here": "", "by ssh": "ssh://" + pgtest.SSHName} {
		t.Run(name, func(t *testing.T) {
			if host == "" {
				pgtest.Long(t)
			} else {
				pgtest.SSHHost(t, nil)
			}
			pgtest.SharedContainer(t, 17) // makes sure of the image
			project := strings.ToLower(pgtest.NewName("compose"))
			file := composeFiles(t, project)
			run := func(args ...string) string {
				t.Helper()
				cmd := pgtest.Pgberth(t, append(args, "--docker-host", host)...)
				cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "DATABASE_URL="+source.URL(db))
				status, stdout, stderr := pgtest.Status(t, cmd)
				if status != 0 {
					t.Fatalf("%q: status %d: %s", args, status, stderr)
				}
				return stdout
			}
			run("migrate", "--compose-file", file, "--service", "db")
			id := docker(t, "ps", "--quiet", "--filter", "label=com.docker.compose.project="+project)
			inside := func(sql string) string {
				t.Helper()
				return docker(t, "exec", id, "psql", "--username", "bullion", "--dbname", db, "-Atc", sql)
			}
			if got := inside(query); got != want {
				t.Errorf("the container holds %s, want %s", got, want)
			}
			if got := inside("SHOW work_mem"); got != "7MB" {
				t.Errorf("work_mem is %s: the override was not taken", got)
			}
			if same := run("compare", "--to", "docker://"+id+"/"+db); !strings.Contains(same, "same: ") {
				t.Error(same)
			}
		})
	}
}

// composeFiles writes the files of a project that is removed, with all it made, when the test ends.
func composeFiles(t *testing.T, project string) (file string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), project)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"compose.yaml": `version: '2.4'
services:
  db:
    image: ` + pgtest.Image(17) + `
    expose: ['5432']
    environment:
      POSTGRES_USER: bullion
      POSTGRES_PASSWORD: ${BULLION_PASSWORD}
    volumes: ['data:/var/lib/postgresql/data']
volumes:
  data:
`,
		"compose.override.yaml": `version: '2.4'
services:
  db:
    command: [postgres, -c, work_mem=7MB]
`,
		".env": "BULLION_PASSWORD=" + pgtest.NewName("secret") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(dir, "compose.yaml")
	t.Cleanup(func() {
		compose := []string{"docker", "compose"}
		if exec.Command("docker", "compose", "version").Run() != nil {
			compose = []string{"docker-compose"}
		}
		down := append(compose, "--file", file, "down", "--volumes", "--timeout", "0")
		if out, err := exec.Command(down[0], down[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return file
}
