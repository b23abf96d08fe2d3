package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/localpg"
)

// dirPrefix starts the name of every temporary folder of a server; the process's number follows.
const dirPrefix = "pgberth-test-"

// Host returns the cluster on the host that the tests of a package share.
// Sessions over its unix socket are trusted; those over TCP need the password.
func Host(t testing.TB) *Server {
	t.Helper()
	if !running.Load() {
		t.Fatal("pgtest: TestMain does not call pgtest.Main, so the shared server would never stop")
	}
	server, err := shared.get("host", func() (*Server, error) { return startHost(nil) })
	return checkHost(t, server, err)
}

// NewHost returns a cluster on the host for one test, which may stop or kill it.
// Settings are those of postgresql.conf, such as "max_connections=5".
func NewHost(t testing.TB, settings ...string) *Server {
	t.Helper()
	server, err := startHost(settings)
	if err == nil {
		t.Cleanup(func() {
			if err := server.remove(); err != nil {
				t.Errorf("pgtest: %v", err)
			}
		})
	}
	return checkHost(t, server, err)
}

// NewStandby returns a standby of a cluster on the host, which follows it until the test ends.
func NewStandby(t testing.TB, primary *Server) *Server {
	t.Helper()
	server, err := startStandby(primary)
	if err != nil {
		t.Fatalf("pgtest: start a standby: %v", err)
	}
	t.Cleanup(func() {
		if err := server.remove(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return server
}

var errNoPostgres = errors.New("no PostgreSQL server programs on this host; install postgresql-15 or run testdata/setup.sh")

func checkHost(t testing.TB, server *Server, err error) *Server {
	t.Helper()
	if errors.Is(err, errNoPostgres) {
		Unavailable(t, "%v", err)
	}
	if err != nil {
		t.Fatalf("pgtest: start a server on the host: %v", err)
	}
	return server
}

// BinDir returns the folder of the host's newest PostgreSQL server programs, or that of $PGBERTH_TEST_BINDIR.
func BinDir(t testing.TB) string {
	t.Helper()
	bin, _, err := findHost()
	if err != nil {
		Unavailable(t, "%v", err)
	}
	return bin
}

func findHost() (bin string, major int, err error) {
	if dir := os.Getenv("PGBERTH_TEST_BINDIR"); dir != "" {
		bin, major = dir, localpg.Major(context.Background(), dir)
	} else if found := localpg.Find(context.Background()); len(found) > 0 {
		bin, major = found[0].Dir, found[0].Major
	}
	if major == 0 {
		return "", 0, errNoPostgres
	}
	return bin, major, nil
}

func startHost(settings []string) (*Server, error) {
	return startCluster("secret-"+random(), settings, (*hostServer).init)
}

func startStandby(primary *Server) (*Server, error) {
	return startCluster(primary.Password, nil, func(h *hostServer) error { return h.copyOf(primary) })
}

// startCluster starts a server whose files are made by fill.
func startCluster(password string, settings []string, fill func(*hostServer) error) (*Server, error) {
	bin, major, err := findHost()
	if err != nil {
		return nil, err
	}
	account, err := localpg.Unprivileged()
	if err != nil {
		return nil, err
	}
	config, err := parseConfig()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	s := &Server{
		Major: major, Host: "127.0.0.1", SocketDir: dir, User: "postgres", Password: password,
		config: config, dir: dir, bin: bin,
	}
	h := &hostServer{Server: s, account: account, settings: settings}
	s.start, s.stop, s.remove = h.start, h.stop, h.remove
	if err = h.prepare(); err == nil {
		err = fill(h)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	err = h.start()
	for attempts := 5; err != nil && attempts > 0 && strings.Contains(err.Error(), "Address already in use"); attempts-- {
		// Somebody took the port since it was found to be free.
		if h.Port, err = freePort(); err == nil {
			err = h.start()
		}
	}
	if err != nil {
		return nil, errors.Join(err, h.remove())
	}
	return s, nil
}

// A hostServer is a cluster on the host and its postmaster.
type hostServer struct {
	*Server
	account  *syscall.Credential
	settings []string
	process  *os.Process
	exited   chan struct{} // closed when the postmaster has been waited for
}

func (h *hostServer) data() string { return filepath.Join(h.dir, "data") }

// prepare makes the folder ready for the server's files, and finds a port.
func (h *hostServer) prepare() (err error) {
	if h.account != nil {
		if err := os.Chown(h.dir, int(h.account.Uid), int(h.account.Gid)); err != nil {
			return err
		}
	}
	if err := os.Chmod(h.dir, 0o755); err != nil { // other accounts use the socket
		return err
	}
	h.Port, err = freePort()
	return err
}

// copyOf makes the files of a standby.
func (h *hostServer) copyOf(primary *Server) error {
	return h.run("pg_basebackup", "-D", h.data(), "-h", primary.SocketDir, "-p", strconv.Itoa(int(primary.Port)), "-U", primary.User,
		"--write-recovery-conf", "--checkpoint=fast", "--no-sync")
}

// run runs one of the server's programs to its end.
func (h *hostServer) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(h.bin, program), args...)
	cmd.Dir, cmd.Env = h.dir, cleanEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.account}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func (h *hostServer) init() error {
	if err := installExtension(h.bin); err != nil {
		return err
	}
	password := filepath.Join(h.dir, "password")
	if err := os.WriteFile(password, []byte(h.Password+"\n"), 0o644); err != nil {
		return err
	}
	defer os.Remove(password)
	return h.run("initdb", "-D", h.data(), "-U", h.User, "--pwfile="+password,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
}

// start starts the postmaster. The sessions of one that was killed take a moment to notice, and until then bar the next one.
func (h *hostServer) start() error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := h.launch()
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (h *hostServer) launch() error {
	log, err := os.OpenFile(filepath.Join(h.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", h.data(), "-p", strconv.Itoa(int(h.Port)), "-c", "listen_addresses=127.0.0.1", "-k", h.dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200"}
	for _, setting := range h.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(h.bin, "postgres"), args...)
	cmd.Dir, cmd.Env = h.dir, cleanEnv()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent(h.account)

	started, exited := make(chan error), make(chan struct{})
	go func() {
		// The signal at the parent's death is sent when the thread dies that started the child, so keep the thread.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	h.process, h.exited = cmd.Process, exited
	return h.wait(func() error {
		select {
		case <-exited:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the server ended at its start:\n%s", tail(text))
		default:
			return nil
		}
	})
}

func (h *hostServer) stop(kill bool) error {
	if h.process == nil {
		return nil
	}
	signal := syscall.SIGINT
	if kill {
		signal = syscall.SIGKILL
	}
	if err := h.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-h.exited:
	case <-time.After(30 * time.Second):
		return fmt.Errorf("the server on port %d does not stop", h.Port)
	}
	h.process = nil
	return nil
}

func (h *hostServer) remove() error {
	if err := h.stop(false); err != nil {
		return errors.Join(err, h.stop(true))
	}
	return os.RemoveAll(h.dir)
}

func freePort() (uint16, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port), nil
}

// cleanEnv is the environment less what would lead a PostgreSQL program elsewhere.
func cleanEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	return append(env, "LC_MESSAGES=C")
}

func tail(text []byte) []byte {
	if len(text) > 4096 {
		text = text[len(text)-4096:]
	}
	return bytes.TrimSpace(text)
}

// reapDirs removes the folders that killed test binaries left behind.
func reapDirs() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*-*")) // the pattern is well formed
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		if pid, err := strconv.Atoi(number); err == nil && !alive(pid) {
			_ = os.RemoveAll(dir) // another user's folder stays
		}
	}
}

// alive tells whether a process of that number runs.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
