package nightly_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestCron runs the program as cron does, without privileges, in an odd time zone and with a careless umask. It is silent if all is well, and
// the password it was given turns up in no argument list, message, metric, ping or file.
func TestCron(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(2000)
	role := pgtest.NewName("role")
	const canary = "canary-7c1e"
	s.server.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", role, canary))
	t.Cleanup(func() { s.server.Exec(t, "postgres", "DROP ROLE "+role) })
	from := fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", role, s.server.Port)
	metrics := filepath.Join(s.dir, "one.prom")
	config := s.write(fmt.Sprintf("jobs:\n  one:\n    from: %s\n    password: ${DB_PASSWORD}\n    repository: %s\n    databases: [%s]\n    ping: %s\n    metrics: %s\n    keep: {last: 1}\n",
		from, s.repo(), db, s.monitor.url(), metrics))
	nightly := func(env []string, args ...string) *exec.Cmd {
		cmd := pgtest.Pgberth(t, append([]string{"nightly", "--config", config}, args...)...)
		cmd.Env = append(cmd.Env, append(env, "TZ=Pacific/Chatham", "PATH=/usr/bin:/bin")...)
		s.unprivileged(cmd)
		return cmd
	}
	defer syscall.Umask(syscall.Umask(0))

	seen := sampleArguments(t, canary)
	status, stdout, stderr := pgtest.Status(t, nightly([]string{"DB_PASSWORD=" + canary}))
	if status != 0 || stdout != "" || stderr != "" {
		t.Errorf("status %d, standard output %q, standard error %q", status, stdout, stderr)
	}
	secret := filepath.Join(s.dir, "secret")
	if err := os.WriteFile(secret, []byte(canary+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	status, summary, stderr := pgtest.Status(t, nightly([]string{"DB_PASSWORD_FILE=" + secret}, "--summary", "-v"))
	if status != 0 || !strings.Contains(summary, "job one: done") || !strings.Contains(summary, "2,000 rows in 1 table") {
		t.Errorf("status %d, standard output %q, standard error %q", status, summary, stderr)
	}
	wrong := nightly([]string{"DB_PASSWORD=" + canary + "x"}, "--json")
	failed, log, _ := pgtest.Status(t, wrong)
	if failed != 1 || !strings.Contains(log, `"event":"failure"`) || !strings.Contains(log, "password authentication failed") {
		t.Errorf("status %d, %s", failed, log)
	}
	if where := seen(); len(where) > 0 {
		t.Errorf("the password is in the arguments of %v", where)
	}
	for _, text := range append(s.monitor.pings(), summary, stderr, log) {
		if strings.Contains(text, canary) {
			t.Errorf("the password is in %q", text)
		}
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	s.searchFiles(canary, map[string]bool{metrics: true})
	if got := s.backups(db); len(got) != 1 {
		t.Errorf("backups: %v", got)
	}
}

// unprivileged makes a command run as nobody where the tests are run by root, with folders that are its own.
func (s *site) unprivileged(cmd *exec.Cmd) {
	s.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		s.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	for _, path := range []string{s.dir, filepath.Join(s.dir, "pgberth.yaml")} {
		if err := os.Chown(path, uid, gid); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Dir(cmd.Path), filepath.Dir(s.dir)} {
		if err := os.Chmod(path, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+s.dir)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// searchFiles looks for a word in all files of a site but its configuration, and sees that nobody else may read them.
func (s *site) searchFiles(word string, open map[string]bool) {
	s.t.Helper()
	files := 0
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 && !open[path] {
			s.t.Errorf("%s has mode %s", path, info.Mode())
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(word)) {
			s.t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil || files < 5 {
		s.t.Errorf("%d files, %v", files, err)
	}
}

// sampleArguments looks for a word in the arguments of all processes, again and again, until the function that it returns is called. That returns where it was.
func sampleArguments(t *testing.T, word string) func() []string {
	stop, done := make(chan struct{}), make(chan struct{})
	var where []string
	own := strconv.Itoa(os.Getpid())
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, path := range paths {
				if args, err := os.ReadFile(path); err == nil && bytes.Contains(args, []byte(word)) && !strings.Contains(path, "/"+own+"/") {
					where = append(where, strings.ReplaceAll(string(args), "\x00", " "))
				}
			}
		}
	}()
	end := sync.OnceFunc(func() { close(stop); <-done })
	t.Cleanup(end)
	return func() []string { end(); return where }
}

// TestSignal ends the program while it waits for a table.
func TestSignal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(10)
	holder := s.server.Connect(t, db)
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE games"); err != nil {
		t.Fatal(err)
	}
	config := s.write(s.config([]string{db}, "ping: "+s.monitor.url()))
	cmd := pgtest.Pgberth(t, "nightly", "--config", config)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it is still there
	eventually(t, "a session that waits", func() bool {
		return s.server.Row(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"' AND wait_event_type = 'Lock'") != "0"
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status says
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("status %d: %s", code, stderr.String())
	}
	if pings := s.monitor.pings(); len(pings) == 0 || !strings.HasPrefix(pings[len(pings)-1], "/fail job one: interrupted") {
		t.Errorf("pings: %q", pings)
	}
	if got := s.backups(db); len(got) != 0 {
		t.Errorf("backups: %v", got)
	}
	s.expectNoSession(db)
}

// TestServerOfContainer backs up a server by docker://USER@NAME, which names none of its databases, as a user of whom the container's
// environment says nothing.
func TestServerOfContainer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := pgtest.SharedContainer(t, 17)
	role, db := pgtest.NewName("keeper"), server.CreateDB(t)
	server.Exec(t, db, "CREATE TABLE games AS SELECT 7 AS id; CREATE ROLE "+role+" SUPERUSER LOGIN PASSWORD 'goldcrest'")
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP ROLE "+role) })
	config := s.write("jobs:\n  one:\n    from: docker://" + role + "@" + server.Container + "\n    globals: false\n    repository: " + s.repo() + "\n    databases: [" + db + "]\n")
	cmd := pgtest.Pgberth(t, "nightly", "--config", config, "--summary")
	cmd.Env = append(cmd.Env, "PGPASSWORD=goldcrest")
	if status, stdout, stderr := pgtest.Status(t, cmd); status != 0 || !strings.Contains(stdout, "1 row in 1 table") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

// TestDrilled runs the program with real drills, on the server programs of this host.
func TestDrilled(t *testing.T) {
	pgtest.Long(t)
	t.Parallel()
	s := newSite(t)
	db := s.database(1000)
	run := func(drill string) (int, string, string) {
		return pgtest.Status(t, pgtest.Pgberth(t, "nightly", "--config", s.write(s.config([]string{db}, "keep: {last: 1}", "drill: "+drill)), "--summary"))
	}
	if status, stdout, stderr := run("{when: weekly, server: local}"); status != 0 || !strings.Contains(stdout, ", drilled; 1 kept") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := run("{when: weekly, server: local}"); status != 0 || strings.Contains(stdout, "drilled") || !strings.Contains(stdout, "1 kept, 1 removed") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if status, _, stderr := run("{when: after-backup, server: local, rpo: 1ms}"); status != 1 || !strings.Contains(stderr, "the drill's verdict is rejected:") {
		t.Errorf("status %d, %s", status, stderr)
	}
	if got := s.backups(db); len(got) != 2 {
		t.Errorf("a backup that was rejected has removed one: %v", got)
	}
}

// TestS3 backs up into a bucket, and sees that the store's keys are told to nobody.
func TestS3(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	store := pgtest.S3(t)
	db := s.database(1000)
	config := s.write(fmt.Sprintf("jobs:\n  one:\n    from: %s\n    databases: [%s]\n    repository: {url: \"s3://%s/{job}\", endpoint: %q, region: us-east-1}\n    keep: {last: 1}\n",
		s.server.URL("postgres"), db, store.Bucket, store.Endpoint))
	pgberth := func(args ...string) (int, string, string) {
		cmd := pgtest.Pgberth(t, append(args, "--config", config)...)
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID="+pgtest.S3AccessKey, "AWS_SECRET_ACCESS_KEY="+pgtest.S3SecretKey)
		return pgtest.Status(t, cmd)
	}
	for _, args := range [][]string{{"nightly", "--check"}, {"nightly", "-v"}, {"nightly", "--json", "-v"}, {"check"}} {
		status, stdout, stderr := pgberth(args...)
		if status != 0 || strings.Contains(stdout+stderr, pgtest.S3SecretKey) {
			t.Errorf("%q: status %d, %s%s", args, status, stdout, stderr)
		}
		if args[0] == "check" && !strings.Contains(stdout, "one/"+db) {
			t.Error(stdout)
		}
	}
}
