package catalog_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// each runs a test on the servers of every major version asked for.
func each(t *testing.T, f func(t *testing.T, s *pgtest.Server)) {
	t.Run("host", func(t *testing.T) { f(t, pgtest.Host(t)) })
	versions := []int{17}
	if os.Getenv("PGBERTH_TEST_MATRIX") != "" {
		versions = []int{13, 17, 18}
	}
	for _, v := range versions {
		t.Run(fmt.Sprint(v), func(t *testing.T) { f(t, pgtest.SharedContainer(t, v)) })
	}
}

// open opens a session as a run does, with a transaction begun.
func open(t *testing.T, s *pgtest.Server, db, role string) *pgx.Conn {
	t.Helper()
	conn, err := session.Open(t.Context(), s.Config(db), session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	do(t, conn, "SET SESSION AUTHORIZATION "+pgx.Identifier{role}.Sanitize())
	do(t, conn, "BEGIN")
	return conn
}

func do(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
