package pgtest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Banker returns a new database with the sample of a poker bank, about 1.3 MB for each unit of scale.
func Banker(t testing.TB, s *Server, scale int) string {
	t.Helper()
	db := s.CreateDB(t, "TEMPLATE template0")
	dir := filepath.Join(Root(t), "testdata", "banker")
	s.Psql(t, db, filepath.Join(dir, "schema.sql"))
	s.Psql(t, db, filepath.Join(dir, "generate.sql"), "-v", "scale="+strconv.Itoa(scale))
	return db
}

// Menagerie returns a new database that holds one of everything that the server's version knows.
func Menagerie(t testing.TB, s *Server) string {
	t.Helper()
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Psql(t, db, filepath.Join(Root(t), "testdata", "menagerie", "menagerie.sql"))
	return db
}

// Pagila returns a new database with the Pagila sample, read from $PGBERTH_PAGILA or ../shared/data/pagila beside the module.
// Where the files are absent the test is skipped, always: they are not part of the module.
func Pagila(t testing.TB, s *Server) string {
	t.Helper()
	dir := os.Getenv("PGBERTH_PAGILA")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared", "data", "pagila")
	}
	if _, err := os.Stat(filepath.Join(dir, "pagila-schema.sql")); err != nil {
		t.Skipf("pgtest: the Pagila sample is not here: %v; set PGBERTH_PAGILA to its folder", err)
	}
	db := s.CreateDB(t, "TEMPLATE template0")
	// The script creates a language that every database has.
	s.Psql(t, db, filepath.Join(dir, "pagila-schema.sql"), "-v", "ON_ERROR_STOP=0")
	s.Psql(t, db, filepath.Join(dir, "pagila-data.sql"))
	return db
}
