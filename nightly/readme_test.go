package nightly_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestReadme follows the README's section about nightly backups word by word, but for the server and the folders. In the end
// the backups are stopped, and the check is red.
func TestReadme(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := pgtest.NewHost(t)
	server.Exec(t, "postgres", "CREATE DATABASE shop")
	server.Exec(t, "shop", "CREATE TABLE games AS SELECT n AS id FROM generate_series(1, 1000) n")
	text, err := os.ReadFile(filepath.Join(pgtest.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Nightly backups\n")
	section, _, _ = strings.Cut(section, "\n## ")
	here := func(text string) string {
		return strings.NewReplacer("/etc/", s.dir+"/", "/var/backups/", s.dir+"/backups/", "docker://shop-db", server.URL(""),
			"/usr/local/bin/", "").Replace(text)
	}
	config := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(section)
	s.write(here(config[1]))

	program := pgtest.Pgberth(t)
	sh := func(command string) (int, string, string) {
		cmd := exec.Command("sh", "-c", here(command))
		cmd.Env = append(program.Env, "PATH="+filepath.Dir(program.Path)+":/usr/bin:/bin")
		return pgtest.Status(t, cmd)
	}
	commands := regexp.MustCompile(`(?m)^\$ (.*)$`).FindAllStringSubmatch(section, -1)
	cron := regexp.MustCompile(`(?m)^[0-9]+ +[0-9]+ \* \* \* +(.*)$`).FindAllStringSubmatch(section, -1)
	if len(commands) != 4 || len(cron) != 2 {
		t.Fatalf("%d commands, %d lines of a crontab", len(commands), len(cron))
	}
	for _, command := range commands[:3] {
		if status, _, stderr := sh(command[1]); status != 0 || stderr != "" {
			t.Errorf("%s: status %d, %s", command[1], status, stderr)
		}
	}
	server.Exec(t, "shop", "INSERT INTO games SELECT 1001")
	for _, line := range cron {
		if status, stdout, stderr := sh(line[1]); status != 0 || stdout+stderr != "" {
			t.Errorf("%s: status %d, %s%s", line[1], status, stdout, stderr)
		}
	}
	server.Exec(t, "shop", "DROP TABLE games")
	if status, _, stderr := sh(commands[3][1]); status != 0 {
		t.Errorf("%s: status %d, %s", commands[3][1], status, stderr)
	}
	if got := server.Row(t, "shop", "SELECT count(*) FROM games"); got != "1001" {
		t.Errorf("%s rows came back", got)
	}
	if status, _, stderr := sh(cron[1][1] + " --max-age 0h1ms"); status != 1 || !strings.Contains(stderr, "shop/shop: the newest good backup, ") {
		t.Errorf("the check is not red: status %d, %s", status, stderr)
	}
}
