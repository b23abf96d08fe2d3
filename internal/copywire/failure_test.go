package copywire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// endless is a source that outlives every test.
const endless = "COPY (SELECT generate_series(1, 2000000000), repeat('x', 1000)) TO STDOUT"

func sqlState(err error) string {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return fmt.Sprintf("no error of a server: %v", err)
	}
	return server.Code
}

func TestServerErrors(t *testing.T) {
	host, container := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, "CREATE TABLE t (a int CHECK (a <> 50000), b text)")
	noLeaks(t)
	for _, test := range []struct {
		name, out, in            string
		code                     string
		sourceClosed, targetOpen bool
	}{
		{"target, midway", endless, "COPY t FROM STDIN", "23514", true, false},
		{"target, at the end", "COPY (SELECT 50000, 'x') TO STDOUT", "COPY t FROM STDIN", "23514", false, true},
		{"target, unreadable value", "COPY (SELECT 'x', 'x') TO STDOUT", "COPY t FROM STDIN", "22P02", false, true},
		{"target, wrong format", "COPY (SELECT 1, 'x') TO STDOUT", "COPY t FROM STDIN WITH (FORMAT binary)", "22P04", false, true},
		{"target, at the start", endless, "COPY missing FROM STDIN", "42P01", false, true},
		{"source, midway", "COPY (SELECT 1 / (40000 - generate_series(1, 1000000)), repeat('x', 1000)) TO STDOUT", "COPY t FROM STDIN", "22012", false, false},
		{"source, at the start", "COPY missing TO STDOUT", "COPY t FROM STDIN", "42P01", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, to := host.Connect(t, "postgres").PgConn(), container.Connect(t, db).PgConn()
			_, _, err := relay(t.Context(), from, to, test.out, test.in, nil)
			if got := sqlState(err); got != test.code {
				t.Errorf("relay: %s, want %s", got, test.code)
			}
			if from.IsClosed() != test.sourceClosed || to.IsClosed() == test.targetOpen {
				t.Errorf("closed: source %v, target %v", from.IsClosed(), to.IsClosed())
			}
			if !test.sourceClosed {
				usable(t, from)
			}
			if test.targetOpen {
				usable(t, to)
			}
			gone(t, container, to)
			if rows := container.Row(t, db, "SELECT count(*) FROM t"); rows != "0" {
				t.Errorf("the target kept %s rows", rows)
			}
		})
	}
}

// hungUp tells whether an error is about a connection the server closed.
func hungUp(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) && strings.Contains(err.Error(), "the server closed the connection") ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// gone waits for the backend of a closed connection to end.
func gone(t *testing.T, s *pgtest.Server, conn *pgconn.PgConn) {
	t.Helper()
	if conn.IsClosed() {
		eventually(t, "the backend has ended", func() bool {
			return s.Row(t, "postgres", fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", conn.PID())) == "0"
		})
	}
}

// deaf goes on sending where a sender should stop.
type deaf struct{ *copywire.In }

func (d deaf) Forward(p []byte) error {
	_ = d.In.Forward(p) // as said
	return nil
}

// A frame that was begun when the server refused the rows would swallow the next statement.
func TestFinishAfterCutFrame(t *testing.T) {
	host, container := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, "CREATE TABLE t (a int CHECK (a > 3), b text)")
	from, to := host.Connect(t, "postgres").PgConn(), container.Connect(t, db).PgConn()
	in, err := copywire.OpenIn(t.Context(), to, "COPY t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	const out = "COPY (SELECT g, repeat('x', 30000000) FROM generate_series(1, 5) g) TO STDOUT"
	if _, err := copywire.Out(t.Context(), from, out, deaf{in}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Finish(); sqlState(err) != "23514" {
		t.Errorf("Finish: %v", err)
	}
	if !to.IsClosed() {
		usable(t, to)
	}
}

// trigger calls a function once some rows have passed.
type trigger struct {
	*copywire.In
	after int
	call  func()
}

func (g *trigger) Forward(p []byte) error {
	if g.after > 0 {
		if g.after -= len(p); g.after <= 0 {
			g.call()
		}
	}
	return g.In.Forward(p)
}

// disturb relays an endless table and calls a function midway. Both connections must end closed.
func disturb(t *testing.T, ctx context.Context, from, to *pgconn.PgConn, call func()) error {
	t.Helper()
	in, err := copywire.OpenIn(ctx, to, "COPY t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	_, err = copywire.Out(ctx, from, endless, &trigger{in, 3 << 20, call}, copywire.NewRowHash(false))
	err = in.Abort(err)
	if err == nil {
		t.Error("no error")
	}
	if !from.IsClosed() || !to.IsClosed() {
		t.Errorf("closed: source %v, target %v", from.IsClosed(), to.IsClosed())
	}
	return err
}

func TestBackendEnds(t *testing.T) {
	host, container := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	own := pgtest.NewHost(t) // a backend that is killed takes the whole server down
	container.Exec(t, "postgres", "DROP TABLE IF EXISTS t; CREATE TABLE t (a int, b text)")
	host.Exec(t, "postgres", "DROP TABLE IF EXISTS t; CREATE TABLE t (a int, b text)")
	own.Exec(t, "postgres", "CREATE TABLE t (a int, b text)")
	noLeaks(t)

	terminate := func(s *pgtest.Server, conn *pgconn.PgConn) {
		s.Exec(t, "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", conn.PID()))
	}
	kill := func(_ *pgtest.Server, conn *pgconn.PgConn) {
		witness := own.Connect(t, "postgres")
		if err := syscall.Kill(int(conn.PID()), syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		eventually(t, "the crash ends the other sessions", func() bool { return witness.Ping(t.Context()) != nil })
		eventually(t, "the server answers again", func() bool {
			conn, err := pgconn.ConnectConfig(t.Context(), &own.Config("postgres").Config)
			return err == nil && conn.Close(t.Context()) == nil
		})
	}
	for _, test := range []struct {
		name     string
		from, to *pgtest.Server
		target   bool // ends, rather than the source
		end      func(*pgtest.Server, *pgconn.PgConn)
	}{
		{"source terminated", host, container, false, terminate},
		{"target terminated", host, container, true, terminate},
		{"source killed", own, container, false, kill},
		{"target killed", host, own, true, kill},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, to := test.from.Connect(t, "postgres").PgConn(), test.to.Connect(t, "postgres").PgConn()
			err := disturb(t, t.Context(), from, to, func() {
				if test.target {
					test.end(test.to, to)
				} else {
					test.end(test.from, from)
				}
			})
			// A server gives its reason unless it is killed, or blocked in sending rows.
			if spoke := sqlState(err) == "57P01"; !spoke && (!hungUp(err) || test.name == "target terminated") {
				t.Errorf("relay: %v", err)
			}
		})
	}
	if rows := container.Row(t, "postgres", "SELECT count(*) FROM t"); rows != "0" {
		t.Errorf("the target kept %s rows", rows)
	}
}

func TestCancel(t *testing.T) {
	host, container := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, "CREATE TABLE t (a int, b text)")
	noLeaks(t)
	reason := errors.New("enough")
	waiting := func(s *pgtest.Server, conn *pgconn.PgConn, event string) func() bool {
		query := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active' AND wait_event = '%s'", conn.PID(), event)
		return func() bool { return s.Row(t, "postgres", query) == "1" }
	}
	start := func(ctx context.Context, from, to *pgconn.PgConn, out string) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, _, err := relay(ctx, from, to, out, "COPY t FROM STDIN", nil)
			done <- err
		}()
		return done
	}
	for _, test := range []struct {
		name string
		run  func(ctx context.Context, cancel context.CancelCauseFunc, from, to *pgconn.PgConn) error
	}{
		{"rows flow", func(ctx context.Context, cancel context.CancelCauseFunc, from, to *pgconn.PgConn) error {
			return disturb(t, ctx, from, to, func() { cancel(reason) })
		}},
		{"the source is silent", func(ctx context.Context, cancel context.CancelCauseFunc, from, to *pgconn.PgConn) error {
			done := start(ctx, from, to, "COPY (SELECT 1, pg_sleep(3600)) TO STDOUT")
			eventually(t, "the source sleeps", waiting(host, from, "PgSleep"))
			cancel(reason)
			return <-done
		}},
		{"the target waits for a lock", func(ctx context.Context, cancel context.CancelCauseFunc, from, to *pgconn.PgConn) error {
			blocker := container.Connect(t, db)
			if _, err := blocker.Exec(t.Context(), "BEGIN; LOCK TABLE t"); err != nil {
				t.Fatal(err)
			}
			defer blocker.Close(t.Context())
			done := start(ctx, from, to, endless)
			eventually(t, "the target waits", waiting(container, to, "relation"))
			cancel(reason)
			return <-done
		}},
		{"before the start", func(ctx context.Context, cancel context.CancelCauseFunc, from, to *pgconn.PgConn) error {
			cancel(reason)
			if _, err := copywire.Out(ctx, from, endless, nil, nil); !errors.Is(err, reason) {
				t.Errorf("Out: %v", err)
			}
			_, _, err := relay(ctx, from, to, endless, "COPY t FROM STDIN", nil)
			return err
		}},
		{"all rows were sent", func(ctx context.Context, cancel context.CancelCauseFunc, from, to *pgconn.PgConn) error {
			if _, err := to.Exec(ctx, "BEGIN").ReadAll(); err != nil {
				return err
			}
			in, err := copywire.OpenIn(ctx, to, "COPY t FROM STDIN")
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(in, "1\tx"); err != nil {
				t.Error(err)
			}
			cancel(reason)
			_, err = in.Finish()
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			from, to := host.Connect(t, "postgres").PgConn(), container.Connect(t, db).PgConn()
			if err := test.run(ctx, cancel, from, to); !errors.Is(err, reason) {
				t.Errorf("the error is %v, want the reason of the context", err)
			}
			gone(t, host, from)
			gone(t, container, to)
			// Whatever is still open works.
			for _, conn := range []*pgconn.PgConn{from, to} {
				if !conn.IsClosed() {
					usable(t, conn)
				}
			}
			if rows := container.Row(t, db, "SELECT count(*) FROM t"); rows != "0" {
				t.Errorf("the target kept %s rows", rows)
			}
		})
	}
}

func TestStatements(t *testing.T) {
	container := pgtest.SharedContainer(t, 17)
	db := container.CreateDB(t)
	container.Exec(t, db, "CREATE TABLE t (a int)")
	noLeaks(t)
	for _, sql := range []string{
		"COPY t FROM STDIN\x00; DROP TABLE t", "COPY t TO STDOUT\x00; DROP TABLE t",
		"", "SELECT 1", "CREATE TABLE made (a int)",
	} {
		conn := container.Connect(t, db).PgConn()
		if _, err := copywire.Out(t.Context(), conn, sql, nil, nil); err == nil {
			t.Errorf("Out took %q", sql)
		}
		conn = container.Connect(t, db).PgConn()
		if in, err := copywire.OpenIn(t.Context(), conn, sql); err == nil {
			_ = in.Abort(io.EOF)
			t.Errorf("OpenIn took %q", sql)
		}
	}
	conn := container.Connect(t, db).PgConn()
	if _, err := copywire.Out(t.Context(), conn, "COPY t FROM STDIN", nil, nil); err == nil || !conn.IsClosed() {
		t.Errorf("Out took COPY FROM STDIN: %v", err)
	}
	conn = container.Connect(t, db).PgConn()
	if _, err := copywire.OpenIn(t.Context(), conn, "COPY t TO STDOUT"); err == nil || !conn.IsClosed() {
		t.Errorf("OpenIn took COPY TO STDOUT: %v", err)
	}
	conn = container.Connect(t, db).PgConn()
	if in, err := copywire.OpenIn(t.Context(), conn, "COPY t FROM '/dev/null'"); err == nil {
		_ = in.Abort(io.EOF)
		t.Error("OpenIn took a COPY from a file")
	}
	if _, err := copywire.Out(t.Context(), conn, strings.Repeat(" ", 10), nil, nil); err == nil {
		t.Error("Out took blanks")
	}
}
