package containerpg

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

// copyForever is the environment variable that makes the test binary copy out
// of a container or into it, NAME/DIRECTION, until it is killed.
const copyForever = "PGBERTH_TEST_COPY_FOREVER"

// mainCopyForever copies through a tunnel or a wire, says so, and goes on.
func mainCopyForever() {
	name, direction, _ := strings.Cut(os.Getenv(copyForever), "/")
	if err := copyUntilKilled(context.Background(), name, direction); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func copyUntilKilled(ctx context.Context, name, direction string) error {
	e, err := Open(ctx, Options{})
	if err != nil {
		return err
	}
	e.Via = ViaExec
	s, err := e.Resolve(ctx, Selector{Name: name})
	if err != nil {
		return err
	}
	const table, unload, load = "CREATE TEMP TABLE t (v text)", "COPY (SELECT repeat('x', 900), generate_series(1, 2000000000)) TO STDOUT", "COPY t FROM STDIN"
	if kind, way, compressed := strings.Cut(direction, " "); compressed {
		wire, _, err := e.Wire(ctx, s, Compression{Mode: kind})
		if err != nil {
			return err
		}
		if way == "out" {
			_, err = wire.Out(ctx, copywire.Copy{Database: "postgres", Begin: "BEGIN", SQL: unload}, &announcer{}, nil)
			return err
		}
		rows, err := wire.OpenIn(ctx, copywire.Copy{Database: "postgres", Begin: table, SQL: load})
		if err != nil {
			return err
		}
		fmt.Println("copying")
		_, err = io.Copy(rows, endless{})
		return rows.Abort(err)
	}
	conn, err := pgx.ConnectConfig(ctx, s.ConnConfig(""))
	if err != nil {
		return err
	}
	fmt.Println("copying")
	if direction == "out" {
		_, err = conn.PgConn().CopyTo(ctx, io.Discard, unload)
		return err
	}
	if _, err = conn.PgConn().Exec(ctx, table).ReadAll(); err == nil {
		_, err = conn.PgConn().CopyFrom(ctx, endless{}, load)
	}
	return err
}

// announcer says when the first rows come.
type announcer struct{ once sync.Once }

func (a *announcer) Forward([]byte) error {
	a.once.Do(func() { fmt.Println("copying") })
	return nil
}

// endless is rows without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, "a row of a table\n"), nil }

// tunnelsIn counts the processes in a container that carry tunnels.
func tunnelsIn(t *testing.T, e *Engine, id string) int {
	t.Helper()
	list := e.top(t.Context(), id)
	if len(list) == 0 {
		t.Fatal("the processes of the container are not known")
	}
	n := 0
	for _, p := range list {
		command := p.command
		if strings.Contains(command, "perl -e") || strings.Contains(command, "bash -c") || strings.HasPrefix(command, "cat") ||
			strings.Contains(command, "psql") || strings.Contains(command, "zstd") || strings.Contains(command, "gzip") {
			n++
		}
	}
	return n
}

// neverRestarted asserts that a server has not gone through a crash.
func neverRestarted(t *testing.T, pg *pgtest.Server) {
	t.Helper()
	logs, err := exec.Command("docker", "logs", pg.Container).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"terminated by signal", "untracked child", "reinitializing"} {
		if bytes.Contains(logs, []byte(sign)) {
			t.Errorf("the server says %q:\n%s", sign, logs[max(0, len(logs)-2000):])
		}
	}
}

// tunnelKinds are the programs a tunnel may find in a container.
var tunnelKinds = []string{"perl", "bash"}

// throughTunnel resolves a server by its tunnel, with one of the programs gone.
func throughTunnel(t *testing.T, e *Engine, pg *pgtest.Server, kind string) *Server {
	t.Helper()
	if kind == "bash" {
		out, err := exec.Command("docker", "exec", pg.Container, "mv", "/usr/bin/perl", "/usr/bin/perl.away").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return resolve(t, only(e, ViaExec), Selector{Name: pg.Container})
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	for _, kind := range tunnelKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			pg := pgtest.Container(t, 17)
			s := throughTunnel(t, e, pg, kind)
			t.Run("bytes", func(t *testing.T) { tunnelBytes(t, s) })
			t.Run("cancel", func(t *testing.T) { tunnelCancel(t, s, pg) })
			t.Run("deadline", func(t *testing.T) { tunnelDeadline(t, s) })
			t.Run("fatal", func(t *testing.T) { tunnelFatal(t, s, pg) })
			t.Run("kill", func(t *testing.T) { tunnelKill(t, e, s, pg) })
			eventually(t, func() error {
				if n := tunnelsIn(t, e, s.ID); n > 0 {
					return fmt.Errorf("%d processes remain", n)
				}
				return nil
			})
			neverRestarted(t, pg)
		})
	}
}

// tunnelBytes sends values of many sizes there and back on several streams.
func tunnelBytes(t *testing.T, s *Server) {
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			conn, err := pgx.ConnectConfig(t.Context(), s.ConnConfig(""))
			if err != nil {
				return err
			}
			defer session.HangUp(t.Context(), conn)
			for size := 1; size < 8<<20; size = size*5 + 3 {
				sent := bytes.Repeat([]byte{0, 1, 255, '\n', 'x'}, size/5+1)
				var back []byte
				if err := conn.QueryRow(t.Context(), "select $1::bytea", sent).Scan(&back); err != nil || !bytes.Equal(sent, back) {
					return fmt.Errorf("%d bytes came back of %d: %w", len(back), len(sent), err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// tunnelCancel ends a statement by its context; the request takes a tunnel too.
func tunnelCancel(t *testing.T, s *Server, pg *pgtest.Server) {
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := pgx.ConnectConfig(ctx, s.ConnConfig(""))
	if err != nil {
		t.Fatal(err)
	}
	defer session.HangUp(t.Context(), conn)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "select pg_sleep(600) as tunnel_cancel")
		ended <- err
	}()
	count := func() string {
		return pg.Row(t, "postgres", "select count(*) from pg_stat_activity where query like '%as tunnel_cancel%' and pid <> pg_backend_pid()")
	}
	eventually(t, func() error {
		if n := count(); n != "1" {
			return fmt.Errorf("%s sessions sleep", n)
		}
		return nil
	})
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Error(err)
	}
	var server *pgconn.PgError
	if err := <-ended; !errors.As(err, &server) || server.Code != "57014" {
		t.Errorf("cancelled statement: %v", err)
	}
	cancel()
}

func tunnelDeadline(t *testing.T, s *Server) {
	conn, err := s.ConnConfig("").DialFunc(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var netErr net.Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &netErr) || !netErr.Timeout() {
		t.Errorf("read past a deadline: %v", err)
	}
	// It can be used on: an SSL request is answered with one byte.
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 8)
	if n, err := conn.Read(answer); err != nil || n != 1 || answer[0] != 'N' {
		t.Errorf("%q, %v", answer[:n], err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := conn.Read(answer); !errors.Is(err, io.EOF) {
		t.Errorf("after the half-close: %q, %v", answer[:n], err)
	}
}

func tunnelFatal(t *testing.T, s *Server, pg *pgtest.Server) {
	conn, err := pgx.ConnectConfig(t.Context(), s.ConnConfig(""))
	if err != nil {
		t.Fatal(err)
	}
	defer session.HangUp(t.Context(), conn)
	pg.Exec(t, "postgres", fmt.Sprintf("select pg_terminate_backend(%d)", conn.PgConn().PID()))
	var server *pgconn.PgError
	if _, err := conn.Exec(t.Context(), "select 1"); !errors.As(err, &server) || server.Code != "57P01" {
		t.Errorf("the server's last words: %v", err)
	}
}

// directions are those in which programs copy until they are killed.
var directions = []string{"out", "in", "zstd out", "zstd in"}

// tunnelKill kills programs that copy in both directions, compressed or not.
func tunnelKill(t *testing.T, e *Engine, s *Server, pg *pgtest.Server) {
	rounds := 1
	if pgtest.Soak() {
		rounds = 25 // of four, for each kind of tunnel
	}
	for round := range rounds {
		for _, direction := range directions {
			killWhileCopying(t, e, s, pg, direction, time.Duration(round*37%200)*time.Millisecond)
		}
	}
	t.Logf("%d programs were killed", rounds*len(directions))
	neverRestarted(t, pg)
}

// killWhileCopying kills a program a while after it began to copy: nothing of it may remain, and the server must go on.
func killWhileCopying(t *testing.T, e *Engine, s *Server, pg *pgtest.Server, direction string, later time.Duration, env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^$")
	cmd.Env = append(append(os.Environ(), copyForever+"="+s.Name+"/"+direction), env...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("copying\n"))); err != nil {
		t.Errorf("copy %s: %v", direction, err)
	}
	if err := pause(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, func() error {
		if n := tunnelsIn(t, e, s.ID); n > 0 {
			return fmt.Errorf("%d processes remain after copy %s", n, direction)
		}
		if n := pg.Row(t, "postgres", "select count(*) from pg_stat_activity where query like 'COPY %'"); n != "0" {
			return fmt.Errorf("%s sessions remain after copy %s", n, direction)
		}
		return nil
	})
}

func TestTunnelErrors(t *testing.T) {
	pgtest.Long(t)
	e := openEngine(t)
	pgtest.Container(t, 17, pgtest.NoWait()) // skips where there can be none
	name := start(t, e, &container.Config{Image: pgtest.Image(17), Cmd: []string{"sleep", "600"}}, &container.HostConfig{NetworkMode: "none"})
	b, err := e.inspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	end := func(a address) error {
		conn, err := e.tunnel(t.Context(), b, a)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	err = end(address{dir: "/nowhere", port: 5432})
	failed := wantError[*TunnelError](t, err, "inside the container: /nowhere/.s.PGSQL.5432: No such file or directory; 127.0.0.1:5432: Connection refused")
	if failed.Code != 1 || classify(err) != notYet {
		t.Errorf("exit %d, %v", failed.Code, classify(err))
	}
	for _, program := range tunnelKinds {
		if out, err := exec.Command("docker", "exec", name, "mv", "/bin/"+program, "/bin/"+program+".away").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if program == "perl" {
			wantError[*TunnelError](t, end(address{port: 5432}), "inside the container: 127.0.0.1:5432")
		}
	}
	wantError[*TunnelError](t, end(address{port: 5432}), "ended (exit 1): pgberth: the container has neither perl nor bash")
	if out, err := exec.Command("docker", "exec", name, "mv", "/bin/sh", "/bin/sh.away").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := end(address{port: 5432}); err == nil || !strings.Contains(err.Error(), "/bin/sh") {
		t.Errorf("without a shell: %v", err)
	}
}

func TestRelay(t *testing.T) {
	pgtest.Long(t)
	e, pg := container17(t)
	s := resolve(t, only(e, ViaExec), Selector{Name: pg.Container})
	if !s.NeedsRelay() || resolve(t, only(e, ViaBridge), Selector{Name: pg.Container}).NeedsRelay() {
		t.Error("who needs a relay")
	}
	relay, err := s.Relay()
	if err != nil {
		t.Fatal(err)
	}
	dump := exec.Command("pg_isready", "-h", relay.Dir, "-p", fmt.Sprint(relay.Port))
	if out, err := dump.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", relay.Dir, relay.Port, s.User))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	var identifier string
	if err := conn.QueryRow(t.Context(), "select system_identifier::text from pg_control_system()").Scan(&identifier); err != nil || identifier != s.SystemIdentifier {
		t.Errorf("%s, %v", identifier, err)
	}
	if err := relay.Close(); err != nil { // with a connection open
		t.Error(err)
	}
	session.HangUp(t.Context(), conn)
	if _, err := os.Stat(relay.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder: %v", err)
	}
}

// What an engine says instead of a server is a message, whatever its words; what a server says is not.
func TestTunnelFirstWords(t *testing.T) {
	for text, server := range map[string]bool{
		"OCI runtime exec failed: exec failed: no sh": false,
		"cannot exec in a paused container":           false,
		"R\x00\x00\x00\x08\x00\x00\x00\x00":           true,
		"E\x00\x00\x00\x05\x00":                       true,
		"N":                                           true, // no TLS
	} {
		frame := append([]byte{1, 0, 0, 0, 0, 0, 0, byte(len(text))}, text...)
		tn := &tunnel{in: bufio.NewReaderSize(bytes.NewReader(frame), 256<<10), stderr: newTail(2 << 10)}
		if err := tn.next(); err != nil {
			t.Fatal(err)
		}
		if heard := tn.frame == len(text); heard != server || server == (tn.stderr.String() == text) {
			t.Errorf("%q: taken for a server's words: %v; kept as a message: %q", text, heard, tn.stderr)
		}
	}
}
