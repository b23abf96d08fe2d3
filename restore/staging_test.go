package restore_test

import (
	"slices"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/restore"
)

// What fails takes the rest of its step with it, and nothing else.
func TestAtOnce(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	conn := s.Connect(t, db)
	succeeded, errs := restore.AtOnce(t.Context(), conn.PgConn(),
		[]string{"CREATE TABLE one ()", "CREATE TABLE two ()"},
		[]string{"CREATE TABLE three ()", "SELECT 1 / 0", "CREATE TABLE four ()"},
		[]string{"BEGIN", "nonsense", "CREATE TABLE five ()"},
		[]string{"ROLLBACK"},
		[]string{"CREATE TABLE six ()"},
	)
	if want := []int{2, 1, 1, 1, 1}; !slices.Equal(succeeded, want) {
		t.Errorf("%v statements succeeded, want %v", succeeded, want)
	}
	for i, code := range []string{"", "22012", "42601", "", ""} {
		if code == "" && errs[i] != nil || code != "" && !session.HasCode(errs[i], code) {
			t.Errorf("step %d: %v, want %q", i+1, errs[i], code)
		}
	}
	if status := conn.PgConn().TxStatus(); status != 'I' {
		t.Errorf("the session is left in state %c", status)
	}
	got := s.Rows(t, db, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY oid")
	if want := []string{"one", "two", "six"}; !slices.Equal(got, want) {
		t.Errorf("there are tables %v, want %v", got, want)
	}
	conn.Close(t.Context())
	if _, errs := restore.AtOnce(t.Context(), conn.PgConn(), []string{"SELECT 1"}); errs[0] == nil {
		t.Error("no error of a session that is closed")
	}
}
