package fastload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/session"
)

// The table that holds records, in the database postgres of the server they are about.
const (
	schema = "pgberth"
	table  = schema + ".fast_load"
)

// StateDir is where records are kept on this machine.
func StateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pgberth"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the state of pgberth: %w; set XDG_STATE_HOME", err)
	}
	return filepath.Join(home, ".local", "state", "pgberth"), nil
}

func fileName(dir, system string) string { return filepath.Join(dir, "fast-load-"+system+".json") }

func (r *Record) writeFile(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the settings that are about to change: %w", err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(fileName(dir, r.System), 0o600, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// mark stores the record on the server, flushed before anything is changed.
func (r *Record) mark(ctx context.Context, conn *pgx.Conn) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"BEGIN; SET LOCAL synchronous_commit = on",
		"CREATE SCHEMA IF NOT EXISTS " + schema,
		"CREATE TABLE IF NOT EXISTS " + table + " (run bigint PRIMARY KEY, record jsonb NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now())",
	} {
		if _, err = conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			break
		}
	}
	if err == nil {
		_, err = conn.Exec(ctx, "INSERT INTO "+table+" (run, record) VALUES ($1, $2)", int64(r.Run), string(data))
	}
	if err == nil {
		_, err = conn.Exec(ctx, "COMMIT", pgx.QueryExecModeSimpleProtocol)
	} else if _, rollbackErr := conn.Exec(context.WithoutCancel(ctx), "ROLLBACK", pgx.QueryExecModeSimpleProtocol); rollbackErr != nil {
		err = errors.Join(err, rollbackErr)
	}
	if err != nil {
		return fmt.Errorf("keep the settings that are about to change: %w", err)
	}
	return nil
}

// Forget removes a record whose settings have been put back.
func (r *Record) Forget(ctx context.Context, conn *pgx.Conn, dir string) error {
	_, err := conn.Exec(ctx, "DELETE FROM "+table+" WHERE run = $1", int64(r.Run))
	if isMissing(err) {
		err = nil
	}
	if err == nil {
		err = dropEmpty(ctx, conn)
	}
	if err != nil {
		return fmt.Errorf("remove the note of the settings that were changed: %w", err)
	}
	kept, err := readFile(dir, r.System)
	if err != nil || kept == nil || kept.Run != r.Run {
		return err
	}
	if err := os.Remove(fileName(dir, r.System)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dropEmpty removes the table when nobody needs it. Another run may be about to use it.
func dropEmpty(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `DO $$ BEGIN
  IF pg_catalog.to_regclass('`+table+`') IS NULL THEN RETURN; END IF;
  LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE NOWAIT;
  IF NOT EXISTS (SELECT 1 FROM `+table+`) THEN
    DROP TABLE `+table+`;
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace = '`+schema+`'::pg_catalog.regnamespace) THEN DROP SCHEMA `+schema+`; END IF;
  END IF;
EXCEPTION WHEN lock_not_available OR undefined_table OR invalid_schema_name OR dependent_objects_still_exist THEN
  NULL;
END $$`, pgx.QueryExecModeSimpleProtocol)
	return err
}

func isMissing(err error) bool {
	return session.HasCode(err, "42P01", "3F000")
}

func readFile(dir, system string) (*Record, error) {
	data, err := os.ReadFile(fileName(dir, system))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the note of settings that a run changed: %w", err)
	}
	r := &Record{}
	if err := json.Unmarshal(data, r); err != nil || r.System != system {
		return nil, fmt.Errorf("the note of settings that a run changed, %s, is no such note; compare postgresql.auto.conf, then remove the file", fileName(dir, system))
	}
	return r, nil
}

// A NoteError reports that the record on this machine cannot be read.
type NoteError struct{ Err error }

func (e *NoteError) Error() string { return e.Err.Error() }
func (e *NoteError) Unwrap() error { return e.Err }

// Pending returns the records of the server conn is connected to, from its table and from
// dir. Their runs may live. With a [*NoteError] it returns those of the table.
func Pending(ctx context.Context, conn *pgx.Conn, dir string) ([]*Record, error) {
	var records []*Record
	rows, err := conn.Query(ctx, "SELECT record::text FROM "+table+" ORDER BY at")
	var texts []string
	if err == nil {
		texts, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil && !isMissing(err) && !isForbidden(err) {
		return nil, fmt.Errorf("look for settings that a run changed: %w", err)
	}
	for _, text := range texts {
		r := &Record{}
		if err := json.Unmarshal([]byte(text), r); err != nil {
			return nil, fmt.Errorf("table %s of database postgres holds what pgberth did not write: %w", table, err)
		}
		records = append(records, r)
	}
	var system string
	if err := conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&system); err != nil {
		return nil, fmt.Errorf("identify the server: %w", err)
	}
	kept, err := readFile(dir, system)
	if err != nil {
		return records, &NoteError{err}
	}
	if kept == nil {
		return records, nil
	}
	for _, r := range records {
		if r.Run == kept.Run {
			return records, nil
		}
	}
	return append(records, kept), nil
}

func isForbidden(err error) bool {
	return session.HasCode(err, "42501")
}
