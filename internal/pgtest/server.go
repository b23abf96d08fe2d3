package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// running tells that Main is in charge and will stop what is shared.
var running atomic.Bool

// startTimeout bounds how long a server may take to accept connections on a busy machine.
const startTimeout = 90 * time.Second

// A Server is a running PostgreSQL server that tests may do anything to.
type Server struct {
	Major     int
	Container string // name of the container, "" for a server on the host
	Image     string // image of the container
	Host      string // address, or socket folder, that connections from the host use
	Port      uint16
	SocketDir string // folder of the unix socket on the host, "" where it cannot be reached
	User      string // superuser
	Password  string // random: a test may look for it where no password belongs

	config    *pgx.ConnConfig
	lifecycle sync.Mutex // a kill in another goroutine ends before a start begins
	dir       string     // temporary folder that goes with the server
	bin       string     // folder of the host's PostgreSQL programs
	remove    func() error
	find      func() error
	start     func() error
	stop      func(kill bool) error
}

// URL returns the URI of a database, with the superuser's password.
func (s *Server) URL(db string) string {
	return s.URLAs(s.User, s.Password, db)
}

// URLAs returns the URI of a database for another role.
func (s *Server) URLAs(user, password, db string) string {
	u := url.URL{Scheme: "postgresql", User: url.UserPassword(user, password), Path: "/" + db}
	query := url.Values{"sslmode": {"disable"}}
	if strings.HasPrefix(s.Host, "/") {
		query.Set("host", s.Host)
		query.Set("port", strconv.Itoa(int(s.Port)))
	} else {
		u.Host = fmt.Sprintf("%s:%d", s.Host, s.Port)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Endpoint returns what a user would give to --from or --to:
// docker://NAME/DB for a container, the URI for a server on the host.
func (s *Server) Endpoint(db string) string {
	if s.Container != "" {
		return "docker://" + s.Container + "/" + url.PathEscape(db)
	}
	return s.URL(db)
}

// Config returns the connection settings of a database.
func (s *Server) Config(db string) *pgx.ConnConfig {
	config := s.config.Copy()
	config.Host, config.Port = s.Host, s.Port
	config.User, config.Password, config.Database = s.User, s.Password, db
	return config
}

// parseConfig returns settings that owe nothing to the environment of whoever runs the tests.
func parseConfig() (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig("postgresql://postgres@127.0.0.1/postgres?sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("PG* environment variables: %w", err)
	}
	config.RuntimeParams = map[string]string{"application_name": "pgtest"}
	return config, nil
}

// Connect opens a superuser's session that is closed when the test ends.
func (s *Server) Connect(t testing.TB, db string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), s.Config(db))
	if err != nil {
		t.Fatalf("pgtest: connect to %q: %v", db, err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// Exec runs SQL, which may be many statements.
func (s *Server) Exec(t testing.TB, db, sql string) {
	t.Helper()
	if err := s.exec(db, sql); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

func (s *Server) exec(db, sql string) error {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, s.Config(db))
	if err != nil {
		return fmt.Errorf("connect to %q: %w", db, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("run %.80q in %q: %w", sql, db, err)
	}
	return nil
}

// Rows runs a query and returns its rows as psql -A would show them: columns joined by "|", NULL as "".
func (s *Server) Rows(t testing.TB, db, sql string) []string {
	t.Helper()
	ctx := context.Background() // a test's own is cancelled before its cleanups run
	conn, err := pgx.ConnectConfig(ctx, s.Config(db))
	if err != nil {
		t.Fatalf("pgtest: connect to %q: %v", db, err)
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("pgtest: run %.80q in %q: %v", sql, db, err)
	}
	var rows []string
	for _, result := range results {
		for _, row := range result.Rows {
			columns := make([]string, len(row))
			for i, column := range row {
				columns[i] = string(column)
			}
			rows = append(rows, strings.Join(columns, "|"))
		}
	}
	return rows
}

// Row is Rows for a query of one row.
func (s *Server) Row(t testing.TB, db, sql string) string {
	t.Helper()
	rows := s.Rows(t, db, sql)
	if len(rows) != 1 {
		t.Fatalf("pgtest: %d rows instead of one from %.80q", len(rows), sql)
	}
	return rows[0]
}

// CreateDB creates an empty database under a new name and drops it when the test ends.
// The options follow the name in CREATE DATABASE, such as "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'".
func (s *Server) CreateDB(t testing.TB, options ...string) string {
	t.Helper()
	name := NewName("db")
	s.Exec(t, "postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" "+strings.Join(options, " "))
	t.Cleanup(func() { s.DropDB(t, name) })
	return name
}

// DropDB drops a database if it exists, together with the sessions and subscriptions that would keep it.
func (s *Server) DropDB(t testing.TB, name string) {
	t.Helper()
	if s.down() {
		return
	}
	for _, subscription := range s.Rows(t, "postgres", `SELECT s.subname FROM pg_subscription s
		JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = `+quoteLiteral(name)) {
		id := pgx.Identifier{subscription}.Sanitize()
		s.Exec(t, name, "ALTER SUBSCRIPTION "+id+" DISABLE")
		s.Exec(t, name, "ALTER SUBSCRIPTION "+id+" SET (slot_name = NONE)")
		s.Exec(t, name, "DROP SUBSCRIPTION "+id)
	}
	s.Exec(t, "postgres", "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// down tells whether the server does not answer, as when the test has killed it.
func (s *Server) down() bool {
	return s.ping() != nil
}

// ping connects and runs a query, for a port may answer before the server behind it does.
func (s *Server) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.Config("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// The temporary server of a container's first start listens on its socket only.
	var ready bool
	const sql = "SELECT current_setting('listen_addresses') <> ''"
	if err := conn.QueryRow(ctx, sql).Scan(&ready); err != nil {
		return err
	}
	if !ready {
		return fmt.Errorf("the server is still being initialized")
	}
	return nil
}

// wait waits until the server answers, or until alive says why it never will.
func (s *Server) wait(alive func() error) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.ping()
		if err == nil {
			return nil
		}
		if err := alive(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w", err)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if err := s.stop(true); err != nil {
		t.Fatalf("pgtest: kill the server: %v", err)
	}
}

// Stop shuts the server down and lets sessions end.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if err := s.stop(false); err != nil {
		t.Fatalf("pgtest: stop the server: %v", err)
	}
}

// Start starts a server that was stopped or killed. A container must have been made with [Volume] to find its data again,
// and may have another address afterwards.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if err := s.start(); err != nil {
		t.Fatalf("pgtest: start the server: %v", err)
	}
}

// FindAgain waits for a server in a container that somebody else has restarted, wherever it is then.
func (s *Server) FindAgain(t testing.TB) {
	t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if err := s.find(); err != nil {
		t.Fatalf("pgtest: find the server again: %v", err)
	}
}

// NewName returns a name that nothing else has: pgberth_test_PREFIX_RANDOM.
func NewName(prefix string) string {
	return "pgberth_test_" + prefix + "_" + random()
}

func random() string {
	return strings.ToLower(rand.Text()[:12])
}

func quoteLiteral(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
