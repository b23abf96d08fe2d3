package session_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// each runs a test on the servers of every major version asked for.
func each(t *testing.T, f func(t *testing.T, s *pgtest.Server)) {
	servers := map[string]func(testing.TB) *pgtest.Server{"host": pgtest.Host}
	versions := []int{17}
	if os.Getenv("PGBERTH_TEST_MATRIX") != "" {
		versions = []int{13, 17, 18}
	}
	for _, v := range versions {
		servers[fmt.Sprint(v)] = func(t testing.TB) *pgtest.Server { return pgtest.SharedContainer(t, v) }
	}
	for name, server := range servers {
		t.Run(name, func(t *testing.T) { f(t, server(t)) })
	}
}

func open(t *testing.T, s *pgtest.Server, db string, opts session.Options) *pgx.Conn {
	t.Helper()
	conn, err := session.Open(t.Context(), s.Config(db), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func value(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return string(results[0].Rows[0][0])
}

// hostile are settings of a database that must not matter: what a session has
// instead, and the first version that knows the setting.
var hostile = []struct {
	name, value, want string
	since             int
}{
	{"statement_timeout", "1ms", "0", 13},
	{"lock_timeout", "1ms", "0", 13},
	{"idle_in_transaction_session_timeout", "1ms", "0", 13},
	{"idle_session_timeout", "10min", "0", 14},
	{"transaction_timeout", "1ms", "0", 17},
	{"client_connection_check_interval", "0", "5s", 14},
	{"default_transaction_read_only", "on", "off", 13},
	{"default_transaction_isolation", "serializable", "read committed", 13},
	{"default_transaction_deferrable", "on", "off", 13},
	{"search_path", "public", `""`, 13},
	{"row_security", "on", "off", 13},
	{"DateStyle", "SQL, DMY", "ISO, YMD", 13},
	{"IntervalStyle", "iso_8601", "postgres", 13},
	{"TimeZone", "Asia/Kathmandu", "UTC", 13},
	{"lc_monetary", "en_US.utf8", "C", 13},
	{"extra_float_digits", "-5", "3", 13},
	{"bytea_output", "escape", "hex", 13},
	{"array_nulls", "off", "on", 13},
	{"quote_all_identifiers", "on", "off", 13},
	{"xmloption", "document", "content", 13},
	{"xmlbinary", "hex", "base64", 13},
	{"standard_conforming_strings", "off", "on", 13},
	{"client_encoding", "LATIN1", "UTF8", 13},
	{"check_function_bodies", "on", "off", 13},
	{"client_min_messages", "error", "warning", 13},
	{"synchronize_seqscans", "on", "off", 13},
	{"jit", "on", "off", 13},
	{"application_name", "theirs", session.ApplicationName, 13},
}

func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, s *pgtest.Server) {
		clean, db := s.CreateDB(t, "TEMPLATE template0"), s.CreateDB(t, "TEMPLATE template0")
		s.Exec(t, db, "CREATE TABLE t (a int)")
		for i, h := range hostile {
			if h.since > s.Major {
				continue
			}
			v := h.value
			if h.name == "lc_monetary" && !slices.Contains(s.Rows(t, "postgres", "SELECT collname FROM pg_collation"), v) {
				v = "C.UTF-8"
			}
			sql := "ALTER DATABASE " + db
			if i%2 == 1 {
				sql = "ALTER ROLE " + s.User + " IN DATABASE " + db
			}
			s.Exec(t, "postgres", fmt.Sprintf("%s SET %s = '%s'", sql, h.name, v))
		}
		for range 20 { // the timeouts of a millisecond get a chance
			conn := open(t, s, db, session.Options{})
			if _, err := conn.Exec(t.Context(), "SELECT pg_sleep(0.005)"); err != nil {
				t.Fatal(err)
			}
			conn.Close(t.Context())
		}
		conn := open(t, s, db, session.Options{})
		if session.Version(conn)/10000 != s.Major {
			t.Errorf("the version is %d, want one of %d", session.Version(conn), s.Major)
		}
		for _, h := range hostile {
			if h.since <= s.Major {
				if got := value(t, conn, "SHOW "+h.name); got != h.want {
					t.Errorf("%s is %q, want %q", h.name, got, h.want)
				}
			}
		}
		const values = `SELECT concat_ws('|', timestamptz '2024-03-31 01:30:00+02', date '2024-02-01', interval '1 year 2 days',
			1234.5::money, 0.1::float8 + 0.2, 1e-7::float4, '\x00ff5c'::bytea, array[NULL, 'NULL'], '{NULL,a}'::text[], 'ä', 'pg_class'::regclass)`
		if got, want := value(t, conn, values), value(t, open(t, s, clean, session.Options{}), values); got != want {
			t.Errorf("values read %s, want %s", got, want)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO public.t VALUES (1)"); err != nil {
			t.Errorf("write: %v", err)
		}

		reader := open(t, s, db, session.Options{ReadOnly: true})
		var server *pgconn.PgError
		if _, err := reader.Exec(t.Context(), "INSERT INTO public.t VALUES (2)"); !errors.As(err, &server) || server.Code != "25006" {
			t.Errorf("a read-only session writes: %v", err)
		}
	})
}

func TestEncoding(t *testing.T) {
	host := pgtest.Host(t)
	latin := host.CreateDB(t, "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	for _, test := range []struct {
		db   string
		opts session.Options
		want string // client_encoding and the bytes of an ä
	}{
		{latin, session.Options{}, "LATIN1 \xe4"},
		{latin, session.Options{Encoding: "UTF8"}, "UTF8 ä"},
		{"postgres", session.Options{}, "UTF8 ä"},
		{"postgres", session.Options{Encoding: "LATIN1"}, "LATIN1 \xe4"},
	} {
		conn := open(t, host, test.db, test.opts)
		if got := value(t, conn, "SELECT current_setting('client_encoding') || ' ' || convert_from('\\xc3a4', 'UTF8')"); got != test.want {
			t.Errorf("%+v: %q, want %q", test.opts, got, test.want)
		}
	}
	for _, encoding := range []string{"nonsense", "x'; DROP DATABASE " + latin + "; --"} {
		if _, err := session.Open(t.Context(), host.Config(latin), session.Options{Encoding: encoding}); err == nil || !strings.HasPrefix(err.Error(), "set up session: ") {
			t.Errorf("encoding %q: %v", encoding, err)
		}
	}
}

func TestOnNotice(t *testing.T) {
	host := pgtest.Host(t)
	var got []string
	conn := open(t, host, "postgres", session.Options{OnNotice: func(severity, text string) { got = append(got, severity+" "+text) }})
	_, err := conn.Exec(t.Context(), "DO $$ BEGIN RAISE NOTICE 'quiet'; RAISE WARNING 'loud'; END $$")
	if err != nil || !slices.Equal(got, []string{"WARNING loud"}) {
		t.Errorf("heard %q: %v", got, err)
	}
	silent := open(t, host, "postgres", session.Options{})
	if _, err := silent.Exec(t.Context(), "DO $$ BEGIN RAISE WARNING 'loud'; END $$"); err != nil {
		t.Error(err)
	}
}

// A context that ends stops the statement on the server.
func TestCancel(t *testing.T) {
	host := pgtest.Host(t)
	conn := open(t, host, "postgres", session.Options{})
	pid := conn.PgConn().PID()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(3600)")
		done <- err
	}()
	sleeping := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'", pid)
	await := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); host.Row(t, "postgres", sleeping) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("sleeping sessions: never %s", want)
			}
		}
	}
	await("1")
	cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	await("0")
}

// A session is ended on both sides, also when the caller's context has ended; a server that does not answer is not waited for.
func TestHangUp(t *testing.T) {
	defer session.SetHangUpTimeout(100 * time.Millisecond)()
	host := pgtest.Host(t)
	session.HangUp(t.Context(), nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	conn := open(t, host, "postgres", session.Options{})
	session.HangUp(ended, conn)
	if !conn.IsClosed() {
		t.Error("the session is open")
	}
	silent := open(t, host, "postgres", session.Options{})
	pid := int(silent.PgConn().PID())
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	session.HangUp(t.Context(), silent) // returns
	if !silent.IsClosed() {
		t.Error("the session with a server that does not answer is open")
	}
}

// A session that has left is gone from its database.
func TestLeave(t *testing.T) {
	host := pgtest.Host(t)
	db := host.CreateDB(t)
	for range 20 {
		conn := open(t, host, db, session.Options{})
		session.Leave(t.Context(), conn)
		if !conn.IsClosed() {
			t.Error("the session is open")
		}
		if left := host.Rows(t, "postgres", "SELECT pid FROM pg_stat_activity WHERE datname = '"+db+"'"); len(left) > 0 {
			t.Fatalf("sessions are left: %v", left)
		}
	}
	closed := open(t, host, db, session.Options{})
	closed.Close(t.Context())
	session.Leave(t.Context(), closed)
}

func TestConnectErrors(t *testing.T) {
	const password = "c4n4ry"
	host := pgtest.Host(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		change func(*pgx.ConnConfig)
		want   string
		is     error
	}{
		{"wrong password", t.Context(), func(c *pgx.ConnConfig) {}, "SQLSTATE 28P01", nil},
		{"no such database", t.Context(), func(c *pgx.ConnConfig) { c.Password, c.Database = host.Password, "missing" }, "SQLSTATE 3D000", nil},
		{"nobody there", t.Context(), func(c *pgx.ConnConfig) { c.Port = 1 }, "connection refused", nil},
		{"nobody at either", t.Context(), func(c *pgx.ConnConfig) {
			c.Port, c.Fallbacks = 1, []*pgconn.FallbackConfig{{Host: "127.0.0.9", Port: 1}}
		}, "127.0.0.9:1", nil},
		{"silence", t.Context(), func(c *pgx.ConnConfig) {
			c.Port, c.ConnectTimeout = uint16(mute.Addr().(*net.TCPAddr).Port), 100*time.Millisecond
		}, "127.0.0.1", context.DeadlineExceeded},
		{"cancelled", cancelled, func(c *pgx.ConnConfig) {}, "", context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := host.Config("postgres")
			config.Password = password
			test.change(config)
			_, err := session.Open(test.ctx, config, session.Options{})
			var leaky *pgconn.ConnectError
			switch {
			case err == nil:
				t.Fatal("no error")
			case !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is):
				t.Errorf("the error is %v", err)
			case strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), password) || errors.As(err, &leaky):
				t.Errorf("the error holds the password: %v", err)
			case strings.ContainsAny(err.Error(), "\n\t"):
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
}
