//go:build bench

package bench_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// field is the two servers and the tools of a run: a server on this host, one
// in a container, and a container with the peers, on the host's network.
type field struct {
	src, dst *pgtest.Server
	binary   string
	dir      string // of this run, for archives and the like
	peers    string // container of the peers
	exchange string // a folder in memory that both servers see
}

// targetSettings are the target's, as its owner might have made them.
var targetSettings = []string{"shared_buffers=512MB", "max_wal_size=4GB"}

func newField(t *testing.T) *field {
	f := &field{dir: t.TempDir()}
	f.binary = filepath.Join(f.dir, "pgberth")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", f.binary, "../cmd/pgberth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	f.src = pgtest.NewHost(t, "shared_buffers=512MB", "max_wal_size=4GB")
	f.makeExchange(t)
	f.dst = pgtest.Container(t, 17, pgtest.Volume(), pgtest.Settings(targetSettings...), pgtest.DockerArgs("--volume", f.exchange+":"+f.exchange))
	f.startPeers(t)
	return f
}

func (f *field) makeExchange(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "pgberth-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	f.exchange = dir
}

// startPeers starts the container of the peers' image, which sees the source's
// socket and the run's folder where this process does.
func (f *field) startPeers(t *testing.T) {
	t.Helper()
	if err := os.Chmod(f.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("docker", "run", "--detach", "--network", "host", "--label", "org.pgberth.test="+strconv.Itoa(os.Getpid()),
		"--volume", f.src.SocketDir+":"+f.src.SocketDir, "--volume", f.dir+":"+f.dir, "pgberth/peers").CombinedOutput()
	if err != nil {
		t.Fatalf("start the peers: %v\n%s", err, out)
	}
	f.peers = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rm", "--force", f.peers).CombinedOutput(); err != nil {
			t.Errorf("remove the peers: %v\n%s", err, out)
		}
	})
}

// from is the source's address for every tool: its unix socket.
func (f *field) from(db string) string {
	query := url.Values{"host": {f.src.SocketDir}, "port": {strconv.Itoa(int(f.src.Port))}}
	return "postgresql://" + f.src.User + "@/" + db + "?" + query.Encode()
}

// peer is a shell script in the peers' container.
func (f *field) peer(script string) *exec.Cmd {
	return exec.Command("docker", "exec", f.peers, "bash", "-euo", "pipefail", "-c", script)
}

// versions says what takes part.
func (f *field) versions(t *testing.T) map[string]string {
	t.Helper()
	v := map[string]string{
		"source": f.src.Row(t, "postgres", "SHOW server_version"),
		"target": f.dst.Row(t, "postgres", "SHOW server_version"),
	}
	for name, script := range map[string]string{"pgcopydb": "pgcopydb --version | head -n 1", "pg_dump": "pg_dump --version"} {
		out, err := f.peer(script).Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		v[name] = strings.TrimSpace(string(out))
	}
	return v
}

// machine says where this ran.
func machine() map[string]string {
	m := map[string]string{"cores": strconv.Itoa(numCPU())}
	for _, line := range lines("/proc/cpuinfo") {
		if name, found := strings.CutPrefix(line, "model name\t: "); found {
			m["cpu"] = name
		}
	}
	for _, line := range lines("/proc/meminfo") {
		if size, found := strings.CutPrefix(line, "MemTotal:"); found {
			m["memory"] = strings.TrimSpace(size)
		}
	}
	if release := lines("/proc/sys/kernel/osrelease"); len(release) > 0 {
		m["kernel"] = release[0]
	}
	return m
}

func lines(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// number reads a setting of the run from the environment.
func number(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, s, err)
	}
	return n
}

func size(t *testing.T, s *pgtest.Server, db string) string {
	return s.Row(t, db, "SELECT pg_size_pretty(pg_database_size(current_database()))")
}

func inspect(t testing.TB, container, format string) string {
	t.Helper()
	out, err := exec.Command("docker", "inspect", "--format", format, container).Output()
	if err != nil {
		t.Fatalf("inspect %s: %v", container, err)
	}
	return strings.TrimSpace(string(out))
}
