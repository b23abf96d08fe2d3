package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/progress"
)

// swap gives the staging database its final name, in one transaction with all
// that was held back. An existing database makes way under another name.
func (r *run) swap(ctx context.Context) error {
	if r.InPlace {
		r.published = true
		return nil
	}
	existing, err := r.Target.Inspect(ctx)
	if err != nil {
		return err
	}
	if existing != nil && !existing.Empty && !r.Replace {
		return fmt.Errorf("database %q on the target is no longer empty; use --replace to keep it under another name", r.Target.Name)
	}
	oid, err := r.takeName(ctx, existing)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = r.admin(context.WithoutCancel(ctx), "ROLLBACK")
		return fmt.Errorf("swap: %w", r.explainInUse(ctx, err))
	}
	return r.commitSwap(ctx, oid)
}

// takeName opens a transaction and does in it all that the swap is, in one round trip. It returns the new
// database's OID.
func (r *run) takeName(ctx context.Context, existing *Existing) (oid string, err error) {
	_, late, _, err := r.properties(r.Target.Name)
	if err != nil {
		return "", err
	}
	statements := []string{"BEGIN", "SET LOCAL synchronous_commit = on"}
	crowded := []string{r.database} // nobody but tools that look into every database has business there
	if existing != nil {
		r.oldEmpty = existing.Empty
		if r.result.OldDatabase, err = r.Target.oldName(ctx, r.oldEmpty); err != nil {
			return "", err
		}
		statements = append(statements, rename(r.Target.Name, r.result.OldDatabase))
		if r.oldEmpty { // it is dropped at once, or by the next run
			statements = append(statements, fmt.Sprintf("COMMENT ON DATABASE %s IS %s", catalog.Quote(r.result.OldDatabase), catalog.Literal(markerEmpty)))
		}
		if r.Disconnect {
			crowded = append(crowded, r.Target.Name)
		}
	}
	statements = append(statements, rename(r.database, r.Target.Name), fmt.Sprintf("COMMENT ON DATABASE %s IS NULL", catalog.Quote(r.Target.Name)))
	statements = append(statements, late...)
	statements = append(statements, "SELECT oid FROM pg_catalog.pg_database WHERE datname = "+catalog.Literal(r.Target.Name))
	results, err := r.emptying(ctx, crowded, statements)
	if err != nil {
		return "", err
	}
	return string(results[len(results)-1].Rows[0][0]), nil
}

func rename(from, to string) string {
	return fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", catalog.Quote(from), catalog.Quote(to))
}

// emptying runs statements that rename databases. Each waits, for five seconds, until no session is left in its
// database, with a lock that keeps new ones out. Meanwhile a second session ends those that are in the databases named.
func (r *run) emptying(ctx context.Context, databases, statements []string) ([]*pgconn.Result, error) {
	var results []*pgconn.Result
	renamed := make(chan error, 1)
	go func() {
		var err error
		results, err = r.adminAll(ctx, statements)
		renamed <- err
	}()
	var other *pgx.Conn
	defer func() {
		if other != nil {
			_ = other.Close(context.WithoutCancel(ctx))
		}
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-renamed:
			return results, err
		case <-tick.C:
		}
		var err error
		if other == nil {
			other, err = r.Target.session(ctx, r.Target.admin.Config().Database, "UTF8", "")
		}
		if err == nil {
			_, err = other.Exec(ctx, `
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE datname = ANY ($1) AND pid <> pg_catalog.pg_backend_pid()`, databases)
		}
		if err != nil {
			if renameErr := <-renamed; renameErr != nil {
				return nil, errors.Join(fmt.Errorf("end the sessions on %q: %w", databases, err), renameErr)
			}
			return results, nil
		}
	}
}

// explainInUse says whose sessions kept the old database from being renamed.
func (r *run) explainInUse(ctx context.Context, err error) error {
	if !isInUse(err) {
		return err
	}
	sessions, listErr := r.Target.sessions(ctx)
	if listErr != nil || len(sessions) == 0 {
		return describe(err)
	}
	return fmt.Errorf("%w: %s; end them, or use --disconnect", err, preflight.Listing(sessions))
}

// commitSwap commits. If the connection breaks while it does, the catalog
// says which way it went.
func (r *run) commitSwap(ctx context.Context, oid string) error {
	// It is too late to turn back.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer done()
	commitErr := r.admin(ctx, "COMMIT")
	if commitErr == nil {
		r.published = true
		return nil
	}
	if err := r.Target.reconnect(ctx); err != nil {
		r.published = true // unknown: what may be the user's database must not be dropped
		return fmt.Errorf("swap: the connection was lost while committing (%w); whether %q is the new database is not known: %w",
			commitErr, r.Target.Name, err)
	}
	var name string
	if err := r.Target.admin.QueryRow(ctx, "SELECT datname::text FROM pg_catalog.pg_database WHERE oid = $1", oid).Scan(&name); err != nil {
		return fmt.Errorf("swap: %w", errors.Join(commitErr, err))
	}
	if r.published = name == r.Target.Name; r.published {
		return nil
	}
	return fmt.Errorf("swap: commit: %w", commitErr)
}

// Renamed is the name an existing database will have after the swap, "" if it
// is dropped.
func (t *Target) Renamed(e *Existing) string {
	if e.Empty {
		return ""
	}
	return suffixed(t.Name, "_before_YYYYMMDDHHMMSS")
}

// oldName is a free name for the database that makes way.
func (t *Target) oldName(ctx context.Context, empty bool) (string, error) {
	if empty {
		return suffixed(t.Name+"_empty", fmt.Sprintf("_pgberth_%08x", t.runID)), nil
	}
	for at := time.Now(); ; at = at.Add(time.Second) {
		name := suffixed(t.Name, "_before_"+at.Format("20060102150405"))
		var taken bool
		if err := t.admin.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1)", name).Scan(&taken); err != nil {
			return "", fmt.Errorf("find a name for the old database: %w", err)
		}
		if !taken {
			return name, nil
		}
	}
}

// setInside sets what of the new database's properties can only be set from
// inside.
func (r *run) setInside(ctx context.Context) error {
	if r.InPlace {
		return nil
	}
	_, _, statements, err := r.properties(r.Target.Name)
	if err != nil || len(statements) == 0 {
		return err
	}
	r.database = r.Target.Name
	w, err := r.newWorker(ctx)
	if err == nil {
		defer w.close(ctx)
		err = w.exec(ctx, strings.Join(statements, ";\n"))
	}
	if err != nil {
		return &PartialError{fmt.Errorf("the new database %q is in place, but without all of its properties: %w", r.Target.Name, err)}
	}
	return nil
}

// dropOld drops what made way, if it was empty or the user wants it gone.
func (r *run) dropOld(ctx context.Context) error {
	old := r.result.OldDatabase
	if old == "" || !r.oldEmpty && !r.DropOld {
		return nil
	}
	failed := func(err error) error {
		return &PartialError{fmt.Errorf("the new database %q is in place, but the old one, now %q, could not be dropped: %w",
			r.Target.Name, old, err)}
	}
	if r.oldEmpty {
		// It can no longer be met by its name: nothing more comes in.
		empty, err := r.Target.isEmpty(ctx, old)
		if err != nil {
			return failed(err)
		}
		if !empty {
			r.Reporter.Report(progress.Warning{Object: "database " + r.Target.Name, Text: "was empty, but not at the moment of the swap; the old one is kept as " + old})
			return nil
		}
	}
	if err := r.admin(ctx, "ALTER DATABASE "+catalog.Quote(old)+" IS_TEMPLATE false"); err != nil {
		return failed(err)
	}
	if err := r.Target.dropDatabase(ctx, old); err != nil {
		return failed(err)
	}
	r.result.OldDropped = true
	if r.oldEmpty {
		r.result.OldDatabase, r.result.OldDropped = "", false
	}
	return nil
}
