package restore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// Advisory locks, in the space of pairs of integers. A run holds both in its
// admin session. They show in pg_locks whatever database that session is in.
const (
	lockRun  = 0x70676272 // "pgbr", and the run's id: the run lives
	lockName = 0x70676e6d // "pgnm", and a hash of the final name: one run at a time
)

// stagingName matches the names of staging databases, which end in a run's id.
var stagingName = regexp.MustCompile(`_pgberth_([0-9a-f]{8})$`)

// marker begins the comment of a staging database, and markerEmpty is that of
// a database without contents that made way for a new one.
const (
	marker      = "pgberth staging database"
	markerEmpty = marker + ", replaced while empty"
)

// maxName is the longest name PostgreSQL keeps, in bytes.
const maxName = 63

// suffixed appends suffix to a name, which is cut where needed.
func suffixed(name, suffix string) string {
	for len(name)+len(suffix) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name + suffix
}

// StagingPattern is how the staging database of a run into name is called.
func StagingPattern(name string) string { return suffixed(name, "_pgberth_xxxxxxxx") }

// Lock makes sure that no other run fills the same database, marks this run as
// living, and drops staging databases whose runs are dead. The locks are held
// until Close.
func (t *Target) Lock(ctx context.Context) error {
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make a run id: %w", err)
	}
	t.runID = binary.BigEndian.Uint32(id[:])
	return t.lock(ctx)
}

// lock takes the run's locks, also for a session that follows another.
func (t *Target) lock(ctx context.Context) error {
	var free bool
	if err := t.admin.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1, pg_catalog.hashtext($2)), pg_catalog.pg_advisory_lock($3, $4)",
		lockName, t.Name, lockRun, int32(t.runID)).Scan(&free, nil); err != nil {
		return fmt.Errorf("lock the name %q: %w", t.Name, err)
	}
	if !free {
		return fmt.Errorf("another pgberth run is filling database %q on the target: %w", t.Name, ErrLocked)
	}
	return nil
}

// lives reports whether a run holds its lock.
func (t *Target) lives(ctx context.Context, run uint32) (alive bool, err error) {
	err = t.admin.QueryRow(ctx, `
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 2
  AND classid::bigint = $1 AND objid::bigint = $2)`, lockRun, int64(run)).Scan(&alive)
	if err != nil {
		return false, fmt.Errorf("look for the run %08x: %w", run, err)
	}
	return alive, nil
}

// DropLeftovers drops the staging databases of runs that are dead.
func (t *Target) DropLeftovers(ctx context.Context) error {
	rows, err := t.admin.Query(ctx, `
SELECT d.datname::text, COALESCE(pg_catalog.shobj_description(d.oid, 'pg_database'), '')
FROM pg_catalog.pg_database d
WHERE d.datname ~ '_pgberth_[0-9a-f]{8}$'
  AND ($1 OR pg_catalog.pg_has_role(d.datdba, 'MEMBER'))`, t.Superuser)
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	found := map[string]string{}
	var name, comment string
	if _, err := pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		found[name] = comment
		return nil
	}); err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	for name, comment := range found {
		run, err := strconv.ParseUint(stagingName.FindStringSubmatch(name)[1], 16, 32)
		if err != nil {
			return fmt.Errorf("look for the run of %q: %w", name, err)
		}
		alive, err := t.lives(ctx, uint32(run))
		if err != nil {
			return err
		}
		if alive {
			continue
		}
		leftover, err := t.isLeftover(ctx, name, comment)
		if session.HasCode(err, "3D000", "57P01") {
			continue // another run has dropped it, or does so and ends the sessions in it
		}
		if err != nil {
			return err
		}
		if !leftover {
			t.reporter.Report(progress.Warning{Object: "database " + name,
				Text: "has the name of a staging database, but may be something else; left alone", Remedy: "rename it, or drop it"})
			continue
		}
		if err := t.dropStaging(ctx, name); err != nil {
			return fmt.Errorf("drop the leftover staging database %q: %w", name, err)
		}
		t.reporter.Report(progress.Notice{Text: fmt.Sprintf("dropped staging database %q, left by a run that died", name)})
	}
	return nil
}

// isLeftover reports whether a database whose name is that of a staging
// database is one: by its comment, or, where a run died before it could write
// that, by holding nothing. The same goes for one that made way while empty.
func (t *Target) isLeftover(ctx context.Context, name, comment string) (bool, error) {
	if comment != "" && comment != markerEmpty {
		return strings.HasPrefix(comment, marker), nil
	}
	return t.isEmpty(ctx, name)
}

// createStaging makes the database that is filled, as the archive's DATABASE
// entry has it: from template0, with encoding, locale and provider.
func (r *run) createStaging(ctx context.Context) error {
	if r.InPlace {
		r.database = r.Target.Name
		return nil
	}
	e := r.plan.find(archive.DescDatabase)
	if e == nil {
		return fmt.Errorf("the archive has no DATABASE entry; use --in-place with a database made by hand")
	}
	name := suffixed(r.Target.Name, fmt.Sprintf("_pgberth_%08x", r.Target.runID))
	sql := archive.RenameDatabase(e.Defn.String, r.toc.DatabaseName(), name)
	if r.Archive.NoTablespaces {
		sql = archive.WithoutTablespace(sql)
	}
	if r.Target.Version < 150000 {
		sql = archive.WithoutLocaleProvider(sql)
	}
	r.database = name
	for _, statement := range archive.SplitStatements(sql) {
		if err := r.admin(ctx, statement); err != nil {
			return fmt.Errorf("create the staging database %q: %w", name, err)
		}
	}
	early, late, inside, err := r.properties(name)
	if err != nil {
		return err
	}
	comment := fmt.Sprintf("%s for %s, run %08x", marker, r.Target.Name, r.Target.runID)
	if _, err := r.adminAll(ctx,
		append([]string{"COMMENT ON DATABASE " + catalog.Quote(name) + " IS " + catalog.Literal(comment)}, early...),
		append([]string{"BEGIN"}, late...), []string{"ROLLBACK"}, // a rehearsal of what would fail at the very end
	); err != nil {
		return fmt.Errorf("set up the staging database: %w", err)
	}
	if len(inside) == 0 {
		return nil
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	return w.rehearse(ctx, inside)
}

func (r *run) admin(ctx context.Context, sql string) error {
	_, err := r.Target.admin.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// adminAll runs steps at once, and returns the results of the last one. The error is the first, and names its
// statement; later steps have been tried all the same.
func (r *run) adminAll(ctx context.Context, steps ...[]string) ([]*pgconn.Result, error) {
	answers := atOnce(ctx, r.Target.admin.PgConn(), steps)
	for i, a := range answers {
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", firstLine(steps[i][min(len(a.results), len(steps[i])-1)]), a.err)
		}
	}
	return answers[len(answers)-1].results, nil
}

// answer is what became of a step: the results of its statements up to the first that failed.
type answer struct {
	results []*pgconn.Result
	err     error
}

// atOnce sends all statements before it reads an answer: over a slow line that is one round trip. Those of a step are
// a transaction, or are in the one it begins; a statement that fails takes the rest of its step with it.
func atOnce(ctx context.Context, conn *pgconn.PgConn, steps [][]string) []answer {
	pipeline := conn.StartPipeline(ctx)
	for _, step := range steps {
		for _, sql := range step {
			pipeline.SendQueryParams(sql, nil, nil, nil, nil)
		}
		pipeline.SendPipelineSync()
	}
	answers := make([]answer, len(steps))
	flushed := pipeline.Flush()
	for i := range answers {
		a := &answers[i]
		for a.err = flushed; a.err == nil && len(a.results) < len(steps[i]); {
			var result *pgconn.Result
			if result, a.err = nextResult(pipeline); a.err == nil {
				a.results = append(a.results, result)
			}
		}
		if _, err := pipeline.GetResults(); a.err == nil { // the end of the step
			a.err = err
		}
	}
	if err := pipeline.Close(); err != nil && len(answers) > 0 && answers[len(answers)-1].err == nil {
		answers[len(answers)-1].err = err
	}
	return answers
}

func nextResult(pipeline *pgconn.Pipeline) (*pgconn.Result, error) {
	got, err := pipeline.GetResults()
	if err != nil {
		return nil, err
	}
	rows, ok := got.(*pgconn.ResultReader)
	if !ok {
		return nil, fmt.Errorf("the server answered %T to a statement", got)
	}
	result := rows.Read()
	return result, result.Err
}

// properties returns the statements that make database as the archive has it:
// settings, which the objects may rely on, at once; what would be in the way
// of filling it (a connection limit, privileges, another owner) at the end.
// What is not UTF-8, such as the comment of a LATIN1 database, the admin session
// cannot send: that goes through a session inside, which leaves text as it is.
func (r *run) properties(database string) (early, late, inside []string, err error) {
	old := r.toc.DatabaseName()
	for _, e := range r.plan.database {
		if e.Desc == archive.DescDatabase {
			if !r.Archive.NoOwner {
				owner, err := archive.OwnerSQL(e)
				if err != nil {
					return nil, nil, nil, err
				}
				for _, sql := range owner {
					late = append(late, archive.RenameDatabase(sql, old, database))
				}
			}
			continue
		}
		for _, statement := range archive.SplitStatements(archive.RenameDatabase(e.Defn.String, old, database)) {
			switch {
			case !utf8.ValidString(statement):
				inside = append(inside, statement)
			case e.Desc == archive.DescDatabaseProperties && !isHeldBack(statement, database):
				early = append(early, statement)
			default:
				late = append(late, statement)
			}
		}
	}
	return early, late, inside, nil
}

// isHeldBack tells the statements that restrict who may connect, or make another
// role of who does, from those that set other parameters.
func isHeldBack(statement, database string) bool {
	name := archive.QuoteIdent(database)
	if rest, found := strings.CutPrefix(statement, "ALTER DATABASE "+name+" "); found {
		return strings.HasPrefix(rest, "CONNECTION LIMIT") || strings.HasPrefix(rest, "IS_TEMPLATE") || setsRole.MatchString(rest)
	}
	_, rest, found := strings.Cut(statement, " IN DATABASE "+name+" ")
	return found && setsRole.MatchString(rest)
}

// setsRole matches the end of ALTER DATABASE and ALTER ROLE statements.
var setsRole = regexp.MustCompile(`(?i)^SET "?(role|session_authorization)"? `)

// rehearse finds out early what would fail at the very end.
func (w *worker) rehearse(ctx context.Context, statements []string) error {
	if err := w.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	for _, statement := range statements {
		if err := w.exec(ctx, statement); err != nil {
			_ = w.exec(ctx, "ROLLBACK")
			return fmt.Errorf("set up the database: %s: %w", firstLine(statement), err)
		}
	}
	return w.exec(ctx, "ROLLBACK")
}

func firstLine(sql string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(sql), "\n")
	if rest != "" {
		line += " ..."
	}
	return line
}
