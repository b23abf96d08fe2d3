// Package fastload changes settings of a whole server for the time of a load, and
// puts them back, also when the run that changed them was killed.
//
// Settings are changed with ALTER SYSTEM. Before the first of them is, a
// [Record] of what was there is stored twice: in a table of the server's database
// postgres, and in a file on this machine, since either may be lost. Whoever
// finds a record whose run is dead puts the settings back; those that somebody has
// changed since are left as they are. A record of this machine is found by runs from
// this machine only, the server's by all.
package fastload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
)

// A Setting is one that a run changes.
type Setting struct {
	Name string `json:"name"`
	New  string `json:"new"` // as SHOW has it
	// Old is what postgresql.auto.conf had for it; nil is nothing.
	Old *string `json:"old"`
	// Was is what was in force, as SHOW has it.
	Was string `json:"was"`
	// Restart says that a change takes effect when the server is restarted.
	Restart bool `json:"restart,omitempty"`
}

// A Record is what one run changes, and how it was before.
type Record struct {
	Run      uint32    `json:"run"`
	System   string    `json:"system_identifier"`
	Settings []Setting `json:"settings"`
}

// NeedsRestart reports whether a setting of the record takes effect at a restart only.
func (r *Record) NeedsRestart() bool {
	return slices.ContainsFunc(r.Settings, func(s Setting) bool { return s.Restart })
}

// Relaxed reports whether a power failure meanwhile may destroy what is on the server.
func (r *Record) Relaxed() bool {
	return slices.ContainsFunc(r.Settings, func(s Setting) bool { return s.Name == "fsync" })
}

// A Wish is a value that a run would like a setting to have.
type Wish struct {
	Name, Value string
	// Required says that without it the others are not worth it.
	Required bool
	// Enough, if not 0, is a value, in the unit of pg_settings, from which on a setting
	// is left alone.
	Enough int64
}

// A FixedError says why a setting, or any setting, cannot be changed.
type FixedError struct{ Text, Remedy string }

func (e *FixedError) Error() string { return e.Text }

// Plan finds out which wishes can be granted. A setting that has the value already
// is left alone. One that cannot be changed is left out, or if it is required is a
// [*FixedError]; so is a server that lets nobody change any.
func Plan(ctx context.Context, conn *pgx.Conn, run uint32, wishes []Wish) (*Record, error) {
	r := &Record{Run: run}
	if err := conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&r.System); err != nil {
		return nil, fmt.Errorf("identify the server: %w", err)
	}
	var allowed string // a setting since version 17
	if err := conn.QueryRow(ctx, "SELECT COALESCE(pg_catalog.current_setting('allow_alter_system', true), 'on')").Scan(&allowed); err != nil {
		return nil, fmt.Errorf("read setting allow_alter_system: %w", err)
	}
	if allowed != "on" {
		return nil, &FixedError{"the server's settings may not be changed: allow_alter_system is " + allowed, "turn it on in postgresql.conf, or use --fast-load auto"}
	}
	for _, wish := range wishes {
		s := Setting{Name: wish.Name, New: wish.Value}
		var source, level, setting string
		err := conn.QueryRow(ctx, `
SELECT pg_catalog.current_setting(s.name), s.source, s.context, s.setting,
  (SELECT f.setting FROM pg_catalog.pg_file_settings f
   WHERE f.name = s.name AND f.sourcefile ~ '/postgresql\.auto\.conf$' ORDER BY f.seqno DESC LIMIT 1)
FROM pg_catalog.pg_settings s WHERE s.name = $1`, wish.Name).Scan(&s.Was, &source, &level, &setting, &s.Old)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // a version that does not know it
		}
		if err != nil {
			return nil, fmt.Errorf("read setting %s: %w", wish.Name, err)
		}
		has, _ := strconv.ParseInt(setting, 10, 64) // 0 where it is no number
		switch {
		case s.Was == s.New, wish.Enough > 0 && has >= wish.Enough:
			continue
		case source == "command line", source == "environment variable", source == "override":
			if wish.Required {
				return nil, &FixedError{"setting " + wish.Name + " is fixed by the server's " + source, "start the server without it, or use --fast-load auto"}
			}
			continue
		}
		s.Restart = level == "postmaster"
		r.Settings = append(r.Settings, s)
	}
	return r, nil
}

// Apply stores the record, in dir and on the server, and then makes the changes. It
// returns when all that need no restart are in force.
func (r *Record) Apply(ctx context.Context, conn *pgx.Conn, dir string) error {
	if err := r.writeFile(dir); err != nil {
		return err
	}
	if err := r.mark(ctx, conn); err != nil {
		return err
	}
	for _, s := range r.Settings {
		if err := alterSystem(ctx, conn, s.Name, &s.New); err != nil {
			return err
		}
	}
	return reload(ctx, conn, r.Settings, func(s Setting) string { return s.New })
}

// PutBack puts the settings back, but for those that somebody has changed since,
// whose names it returns. Those that need a restart have it before them.
func (r *Record) PutBack(ctx context.Context, conn *pgx.Conn) (left []string, err error) {
	var mine []Setting
	for _, s := range r.Settings {
		var now *string
		if err := conn.QueryRow(ctx, `
SELECT (SELECT f.setting FROM pg_catalog.pg_file_settings f
  WHERE f.name = $1 AND f.sourcefile ~ '/postgresql\.auto\.conf$' ORDER BY f.seqno DESC LIMIT 1)`, s.Name).Scan(&now); err != nil {
			return nil, fmt.Errorf("read setting %s: %w", s.Name, err)
		}
		switch {
		case same(now, &s.New):
			if err := alterSystem(ctx, conn, s.Name, s.Old); err != nil {
				return nil, err
			}
			mine = append(mine, s)
		case same(now, s.Old): // it was not changed yet, or put back already
			mine = append(mine, s)
		default:
			left = append(left, s.Name)
		}
	}
	return left, reload(ctx, conn, mine, func(s Setting) string { return s.Was })
}

// Check reads the settings again once they have been put back. left are those that were
// left alone.
func (r *Record) Check(ctx context.Context, conn *pgx.Conn, left []string) error {
	for _, s := range r.Settings {
		if slices.Contains(left, s.Name) {
			continue
		}
		var now string
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting($1)", s.Name).Scan(&now); err != nil {
			return fmt.Errorf("read setting %s: %w", s.Name, err)
		}
		if now != s.Was {
			return fmt.Errorf("setting %s is %s after it was put back to %s", s.Name, now, s.Was)
		}
	}
	return nil
}

func same(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func alterSystem(ctx context.Context, conn *pgx.Conn, name string, value *string) error {
	sql := "ALTER SYSTEM RESET " + catalog.Quote(name)
	if value != nil {
		sql = "ALTER SYSTEM SET " + catalog.Quote(name) + " = " + catalog.Literal(*value)
	}
	if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// reloadWait bounds how long a server may take to heed a change of its settings.
const reloadWait = 30 * time.Second

// reload makes the server read its settings and waits until those that need no restart are
// in force.
func reload(ctx context.Context, conn *pgx.Conn, settings []Setting, want func(Setting) string) error {
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_reload_conf()", pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("reload the server's settings: %w", err)
	}
	ctx, done := context.WithTimeout(ctx, reloadWait)
	defer done()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var late []string
		for _, s := range settings {
			if s.Restart {
				continue
			}
			var now string
			if err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting($1)", s.Name).Scan(&now); err != nil {
				return fmt.Errorf("read setting %s: %w", s.Name, err)
			}
			if now != want(s) {
				late = append(late, s.Name)
			}
		}
		if len(late) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not heed the change of %s", strings.Join(late, ", "))
		case <-tick.C:
		}
	}
}

// Flush writes all that the server holds in memory to its disks. What was written while
// fsync was off no checkpoint remembers, so every file of the server is flushed.
func Flush(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "CHECKPOINT", pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return SyncFiles(ctx, conn)
}

// SyncFiles flushes the server's files by a program on its machine: PostgreSQL's own, which is
// made for it, or else one that flushes all files there are.
func SyncFiles(ctx context.Context, conn *pgx.Conn) error {
	var bin, data string
	if err := conn.QueryRow(ctx, `
SELECT (SELECT setting FROM pg_catalog.pg_config() WHERE name = 'BINDIR'), pg_catalog.current_setting('data_directory')`).Scan(&bin, &data); err != nil {
		return fmt.Errorf("find the server's files: %w", err)
	}
	initdb := shellQuote(bin + "/initdb")
	program := fmt.Sprintf("cat >/dev/null; if test -x %s; then exec %[1]s --sync-only --pgdata=%s >/dev/null; else exec sync; fi", initdb, shellQuote(data))
	if _, err := conn.Exec(ctx, "COPY (SELECT 1) TO PROGRAM "+catalog.Literal(program), pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("flush the server's files: %w", err)
	}
	return nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Repair takes the record's settings out of the text of a postgresql.auto.conf, and puts
// back what was there: for a server that does not start.
func (r *Record) Repair(conf string) string {
	var out strings.Builder
	for line := range strings.Lines(conf) {
		name, _, found := strings.Cut(line, "=")
		if !found || !slices.ContainsFunc(r.Settings, func(s Setting) bool { return s.Name == strings.TrimSpace(name) }) {
			out.WriteString(line)
		}
	}
	for _, s := range r.Settings {
		if s.Old != nil {
			fmt.Fprintf(&out, "%s = %s\n", s.Name, catalog.Literal(*s.Old))
		}
	}
	return out.String()
}
