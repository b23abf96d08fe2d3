package pgtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestHost(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	s.Exec(t, db, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
	if got := s.Row(t, db, "SELECT sum(a), current_setting('port') = '"+portOf(s)+"' FROM t"); got != "3|t" {
		t.Errorf("got %q", got)
	}
	if got := s.Row(t, db, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgberth_test'"); got != "1" && os.Geteuid() == 0 {
		t.Error("the extension pgberth_test is not installed")
	}
	if dump := s.Dump(t, db); dump != s.Dump(t, db) || !strings.Contains(dump, "CREATE TABLE public.t") {
		t.Errorf("the dump is not deterministic or lacks the table:\n%s", dump)
	}
}

func portOf(s *pgtest.Server) string {
	_, port, _ := strings.Cut(strings.SplitAfter(s.URL(""), "@")[1], ":")
	port, _, _ = strings.Cut(port, "/")
	return port
}

func TestHostSurvivesKill(t *testing.T) {
	s := pgtest.NewHost(t, "max_connections=20")
	s.Exec(t, "postgres", "CREATE TABLE kept AS SELECT 1; CHECKPOINT")
	s.Connect(t, "postgres") // a session in the way of the restart
	s.Kill(t)
	s.Start(t)
	if got := s.Row(t, "postgres", "SELECT count(*), current_setting('max_connections') FROM kept"); got != "1|20" {
		t.Errorf("got %q", got)
	}
}

func TestContainers(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []pgtest.Option
	}{
		{"network none", []pgtest.Option{pgtest.NoNetwork(), pgtest.Env("POSTGRES_USER", "app")}},
		{"published on a volume", []pgtest.Option{pgtest.Published(), pgtest.Volume(), pgtest.Settings("max_connections=20")}},
		{"init script", []pgtest.Option{pgtest.InitScript("a.sql", "CREATE TABLE made AS SELECT 1"), pgtest.Tmpfs("300m")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := pgtest.Container(t, 17, test.options...)
			db := s.CreateDB(t)
			s.Exec(t, db, "CREATE TABLE t AS SELECT 7 AS a")
			if dump := s.Dump(t, db); !strings.Contains(dump, "COPY public.t (a)") {
				t.Errorf("the dump lacks the table:\n%s", dump)
			}
			switch test.name {
			case "published on a volume":
				s.Kill(t)
				s.Start(t)
				if got := s.Row(t, db, "SELECT a FROM t"); got != "7" {
					t.Errorf("got %q after a restart", got)
				}
			case "init script":
				if got := s.Row(t, "postgres", "SELECT count(*) FROM made"); got != "1" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

func TestCopyBetweenMajors(t *testing.T) {
	source, target := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := source.CreateDB(t)
	source.Exec(t, db, `CREATE TABLE "T;x" AS SELECT generate_series(1, 3) AS a`)
	copied := source.Copy(t, db, target)
	if a, b := source.DumpWith(t, 17, db, "--data-only"), target.DumpWith(t, 17, copied, "--data-only"); body(a) != body(b) {
		t.Errorf("the dumps differ:\n%s\n%s", a, b)
	}
}

// body is a dump less the comment lines that name the versions.
func body(dump string) string {
	var lines []string
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, "-- Dumped ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestKilledBinary kills a test binary that holds a server on the host: the server must go with it.
func TestKilledBinary(t *testing.T) {
	if os.Getenv("PGTEST_HOLD") != "" {
		s := pgtest.Host(t)
		os.Stdout.WriteString("\nholding " + s.Row(t, "postgres", "SELECT pg_backend_pid(), current_setting('data_directory')") + "\n")
		time.Sleep(time.Minute)
		return
	}
	pgtest.BinDir(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledBinary$")
	cmd.Env = append(os.Environ(), "PGTEST_HOLD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var data string
	buf := make([]byte, 4096)
	for text := ""; data == ""; {
		n, err := out.Read(buf)
		text += string(buf[:n])
		if _, rest, ok := strings.Cut(text, "holding "); ok && strings.Contains(rest, "\n") {
			_, data, _ = strings.Cut(strings.TrimSpace(rest), "|")
		} else if err != nil {
			t.Fatalf("the child ended early:\n%s", text)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as just asked
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(data)) })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(data + "/postmaster.pid"); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server outlived its test binary")
		}
	}
}
