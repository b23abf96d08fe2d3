package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/localpg"
	"github.com/pgberth/pgberth/internal/session"
)

// localPrefix begins the names of the folders of local servers.
const localPrefix = "pgberth-drill-server-"

const localWait = 2 * time.Minute

// guard runs a program, the server or what makes its files, and ends it when standard input ends: when the program at the other end is gone. A line lets the
// server live. The folder of an abandoned server, which nobody waits for any more, goes with it; where this user cannot
// take it away, the file that tells Reap whose it was stays.
const guard = `dir=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
p=$!
(
	read -r line <&3
	[ $? = 0 ] && exit
	: >"$dir/abandoned"
	kill -INT $p
	sleep 10
	kill -QUIT $p
) >/dev/null 2>&1 &
w=$!
exec 3<&-
wait $p
code=$?
kill $w 2>/dev/null
if [ -e "$dir/abandoned" ]; then
	if [ -w "${dir%/*}" ]; then rm -rf "$dir"; else rm -rf "$dir/data"; fi
fi
exit $code`

// localServer is a [Server] from the programs that this host has, in a temporary folder, on a unix socket that nobody else
// may use.
type localServer struct {
	dir     string
	config  *pgx.ConnConfig
	command *exec.Cmd
	input   io.WriteCloser
	ended   chan struct{} // closed when the server has
	err     error         // then: how
}

var _ Server = (*localServer)(nil)

// Local makes a server from the programs of this host. What drills that are dead have left is removed first.
func Local(ctx context.Context, want ServerSpec) (_ Server, err error) {
	if _, err := Reap(ctx); err != nil {
		return nil, fmt.Errorf("remove what earlier drills have left: %w", err)
	}
	bin, err := serverPrograms(ctx, want.Major)
	if err != nil {
		return nil, err
	}
	account, err := localpg.Unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := makeFolder(localPrefix)
	if err != nil {
		return nil, err
	}
	s := &localServer{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove(ctx))
		}
	}()
	if account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			return nil, fmt.Errorf("give the drill's folder to the user that runs the server: %w", err)
		}
	}
	if s.config, err = pgx.ParseConfig("host=" + dir + " port=5432 dbname=postgres sslmode=disable user=postgres password=none"); err != nil {
		return nil, fmt.Errorf("configure the connection to the local server: %w", err)
	}
	s.config.User, s.config.Password, s.config.Fallbacks = want.Superuser, "", nil
	if err := s.initialize(ctx, bin, account); err != nil {
		return nil, err
	}
	if err := s.start(bin, account, want.Settings()); err != nil {
		return nil, err
	}
	return s, s.await(ctx)
}

// CheckLocal reports what would keep [Local] from making a server of a version.
func CheckLocal(ctx context.Context, major int) error {
	if _, err := serverPrograms(ctx, major); err != nil {
		return err
	}
	_, err := localpg.Unprivileged()
	return err
}

// serverPrograms finds the folder of the server programs of a version.
func serverPrograms(ctx context.Context, major int) (string, error) {
	for _, found := range localpg.Find(ctx) {
		if found.Major == major {
			return found.Dir, nil
		}
	}
	return "", fmt.Errorf("this host has no server programs of PostgreSQL %d; apt-get install postgresql-%d, or --server docker", major, major)
}

func (s *localServer) data() string { return filepath.Join(s.dir, "data") }
func (s *localServer) log() string  { return filepath.Join(s.dir, "log") }

func (s *localServer) initialize(ctx context.Context, bin string, account *syscall.Credential) error {
	initdb := s.guarded(account, filepath.Join(bin, "initdb"), "-D", s.data(), "-U", s.config.User, "--auth=trust", "--encoding=UTF8", "--locale=C",
		"--no-sync", "--no-instructions")
	var output bytes.Buffer
	initdb.Stdout, initdb.Stderr = &output, &output
	lifeline, err := initdb.StdinPipe()
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = lifeline.Close() })()
	if err := initdb.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("the user that runs the local server may not enter %s: set TMPDIR to a folder that it may", s.dir)
		}
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// guarded is a program under the guard, as the user that runs the server.
func (s *localServer) guarded(account *syscall.Credential, program string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", guard, "pgberth-drill", s.dir, program}, args...)...)
	// A group of its own: an interrupt from the terminal is for this program, which ends the server.
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, localEnv(), &syscall.SysProcAttr{Credential: account, Setpgid: true}
	return cmd
}

func localEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

func (s *localServer) start(bin string, account *syscall.Credential, settings []string) error {
	args := []string{"-D", s.data(), "-k", s.dir, "-p", "5432", "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("start the local server: %w", err)
	}
	defer log.Close()
	s.command = s.guarded(account, filepath.Join(bin, "postgres"), args...)
	s.command.Stdout, s.command.Stderr = log, log
	if s.input, err = s.command.StdinPipe(); err != nil {
		return fmt.Errorf("start the local server: %w", err)
	}
	if err := s.command.Start(); err != nil {
		return fmt.Errorf("start the local server: %w", err)
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.err = s.command.Wait()
	}()
	return nil
}

func (s *localServer) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, localWait, errors.New("the local server did not start in time"))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.ConnectConfig(ctx, s.config.Copy())
		if err == nil {
			session.HangUp(ctx, conn)
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), s.logLines())
		case <-s.ended:
			return s.Alive(ctx)
		case <-tick.C:
		}
	}
}

// Endpoint implements [Server].
func (s *localServer) Endpoint(database string) *conninfo.Endpoint {
	config := s.config.Copy()
	config.Database = database
	return &conninfo.Endpoint{Name: "the drill's local server/" + database, Config: config}
}

// Alive implements [Server].
func (s *localServer) Alive(context.Context) error {
	select {
	case <-s.ended:
		how := errors.New("exit status 0")
		if s.err != nil {
			how = s.err
		}
		return errors.Join(fmt.Errorf("the local server ended: %w", how), s.logLines())
	default:
		return nil
	}
}

func (s *localServer) logLines() error {
	data, err := os.ReadFile(s.log())
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	return errors.New("its log ends: " + strings.Join(lines, "\n"))
}

// FreeDisk implements [Server].
func (s *localServer) FreeDisk(context.Context) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(s.dir, &stat); err != nil {
		return 0, fmt.Errorf("free disk of %s: %w", s.dir, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

// Info implements [Server].
func (s *localServer) Info() ServerInfo { return ServerInfo{Kind: "local", Storage: "directory"} }

// Keep implements [Server]. Without an owner the folder is nobody's to reap.
func (s *localServer) Keep(context.Context) (look, remove string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("let the local server live: %w", err)
		}
	}()
	pid, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return "", "", err
	}
	// The guard looks for it when the server has ended, which may be at once.
	if err := os.WriteFile(filepath.Join(s.dir, "abandoned"), nil, 0o600); err != nil {
		return "", "", err
	}
	if err := os.Remove(filepath.Join(s.dir, ownerFile)); err != nil {
		return "", "", err
	}
	if _, err := io.WriteString(s.input, "keep\n"); err != nil {
		return "", "", err
	}
	first, _, _ := strings.Cut(string(pid), "\n")
	return fmt.Sprintf("psql -h %s -U %s", s.dir, s.config.User), "kill -INT " + first, nil
}

// Remove implements [Server].
func (s *localServer) Remove(context.Context) error {
	if s.ended != nil { // it was started
		_ = s.input.Close() // which is what ends the server
		<-s.ended
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the local server: %w", err)
	}
	return nil
}

// endServer ends the server of a folder that a dead process has left. The guard does so too, if it lives.
func endServer(ctx context.Context, dir string) error {
	data := filepath.Join(dir, "data")
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil // none runs
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return nil
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(command), "\x00"+data+"\x00") {
		return nil // the number is another process's by now
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the server in %s: %w", dir, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("end the server in %s: it does not end", dir)
		case <-tick.C:
		}
	}
	return nil
}
