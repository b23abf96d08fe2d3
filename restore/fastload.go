package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/fastload"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// FastLoad says which of the target server's settings may be changed while it is being
// filled. All are put back before the new database takes its name.
type FastLoad string

// The levels of FastLoad. The zero value is FastLoadOff.
const (
	// FastLoadOff changes none.
	FastLoadOff FastLoad = "off"
	// FastLoadAuto changes what does no harm, on a server that holds nothing else:
	// checkpoints come seldom, and autovacuum waits. What it cannot change, or put
	// back, fails no run.
	FastLoadAuto FastLoad = "auto"
	// FastLoadOn also does without fsync and full_page_writes: a power failure meanwhile
	// may destroy the server's databases. Refused where there are others.
	FastLoadOn FastLoad = "on"
	// FastLoadRestart also does without the WAL of what is loaded, which takes a restart of
	// the server before and after.
	FastLoadRestart FastLoad = "restart"
)

func (f FastLoad) changes() bool { return f != "" && f != FastLoadOff }

// risky says that other databases of the server would be at risk.
func (f FastLoad) risky() bool { return f == FastLoadOn || f == FastLoadRestart }

// A Restarter restarts the target's server and answers where it is then found. If the
// server does not come up it lets repair mend the text of its postgresql.auto.conf, starts
// it once more, and returns an error all the same.
type Restarter func(ctx context.Context, repair func(conf string) string) (*conninfo.Endpoint, error)

// wishes are the settings of a level.
func (f FastLoad) wishes(resources Resources) []fastload.Wish {
	wishes := []fastload.Wish{
		{Name: "checkpoint_timeout", Value: "1h", Enough: 3600},
		{Name: "autovacuum", Value: "off"},
	}
	// A disk that fills up with WAL stops the server: what is not known to be there is not used.
	if gigabytes := min(16, resources.Disk>>30/4); gigabytes > 1 {
		wishes = append(wishes, fastload.Wish{Name: "max_wal_size", Value: fmt.Sprintf("%dGB", gigabytes), Enough: gigabytes << 10})
	}
	if f.risky() {
		wishes = append(wishes, fastload.Wish{Name: "fsync", Value: "off", Required: true}, fastload.Wish{Name: "full_page_writes", Value: "off", Required: true})
	}
	if f == FastLoadRestart {
		wishes = append(wishes, fastload.Wish{Name: "wal_level", Value: "minimal", Required: true},
			fastload.Wish{Name: "max_wal_senders", Value: "0", Required: true}) // without it the server would not start
		if resources.Memory >= 4<<30 {
			wishes = append(wishes, fastload.Wish{Name: "shared_buffers", Value: "1GB", Enough: 1 << 17})
		}
	}
	return wishes
}

// relaxation is what of the server's settings is changed at present.
type relaxation struct {
	record *fastload.Record
	dir    string
}

// relax changes the server's settings for the time of the load.
func (r *run) relax(ctx context.Context) error {
	if r.FastLoad == FastLoadAuto && r.plan.bytes < autoFrom {
		return nil
	}
	return r.lenient(ctx, r.changeSettings(ctx), "the target's settings were left as they are, or some of them", "--fast-load off does not try")
}

// lenient turns an error into a warning if all that was wished for is convenience. Without its session a run cannot
// go on.
func (r *run) lenient(ctx context.Context, err error, text, remedy string) error {
	if err == nil || r.FastLoad != FastLoadAuto || ctx.Err() != nil || r.Target.admin.IsClosed() {
		return err
	}
	r.Reporter.Report(progress.Warning{Object: "target", Text: text + ": " + err.Error(), Remedy: remedy})
	return nil
}

func (r *run) changeSettings(ctx context.Context) error {
	record, dir, reason, err := r.Target.planFastLoad(ctx, r.FastLoad, r.Resources, r.InPlace, r.Restart != nil)
	if err == nil && reason == nil && r.FastLoad.risky() {
		err = fastload.SyncFiles(ctx, r.Target.admin) // so that it is known to work
	}
	if fixed, ok := errors.AsType[*fastload.FixedError](err); ok && r.FastLoad == FastLoadAuto {
		r.Reporter.Report(progress.Notice{Text: "--fast-load auto changes nothing: " + fixed.Text})
		return nil
	} else if ok {
		return fmt.Errorf("--fast-load %s: %s; %s", r.FastLoad, fixed.Text, fixed.Remedy)
	}
	if err != nil {
		return err
	}
	if reason != nil && r.FastLoad.risky() {
		return fmt.Errorf("--fast-load %s: %s; %s", r.FastLoad, reason.Text, reason.Remedy)
	}
	if reason != nil || len(record.Settings) == 0 {
		return nil
	}
	r.relaxed = &relaxation{record: record, dir: dir}
	if err := record.Apply(ctx, r.Target.admin, dir); err != nil {
		return fmt.Errorf("relax the target's settings: %w", err)
	}
	if !record.NeedsRestart() {
		return nil
	}
	return r.Target.restart(ctx, record, r.Restart)
}

// autoFrom is the size of a load from which on it is worth to change settings for it
// unasked: below, there is no second checkpoint.
var autoFrom int64 = 512 << 20 // tests have less

// flushRows flushes the rows' files while indexes are made of them. Without fsync nothing else would make the disk
// write before the end, when all waits for it.
func (r *run) flushRows(ctx context.Context) error {
	if r.relaxed == nil || !r.relaxed.record.Relaxed() {
		return nil
	}
	conn, err := r.Target.session(ctx, r.Target.admin.Config().Database, "UTF8", "")
	if err != nil {
		return fmt.Errorf("connect to the target to flush its files: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return fastload.SyncFiles(ctx, conn)
}

// tightenTimeout bounds what is done after a failure or an interruption to put settings back:
// the server may have much to write.
const tightenTimeout = 10 * time.Minute

// tighten puts the settings back, flushes what was written without fsync and reads the settings again.
func (r *run) tighten(ctx context.Context) error {
	if r.relaxed == nil {
		return nil
	}
	err := r.Target.putBack(ctx, r.relaxed.record, r.relaxed.dir, r.Restart)
	if err = r.lenient(ctx, err, "the target's settings are not all put back", "the next run does so"); err != nil {
		return err
	}
	r.relaxed = nil
	return nil
}

// tightenAfter is tighten for a run that failed. The session may be lost, and the server be
// between its stop and its start.
func (r *run) tightenAfter(ctx context.Context) error {
	if r.relaxed == nil {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, tightenTimeout)
	defer done()
	err := r.Target.reconnect(ctx)
	if err == nil {
		err = r.tighten(ctx)
	}
	if err != nil {
		return fmt.Errorf("put the target's settings back: %w; the next run does so", err)
	}
	return nil
}

// revive makes sure of the session with a server that may be between its stop and its start.
func (r *run) revive(ctx context.Context) {
	if r.relaxed != nil && r.relaxed.record.NeedsRestart() && r.Target.admin.IsClosed() && r.Restart != nil {
		// What becomes of it shows in what follows.
		_ = r.Target.restart(ctx, r.relaxed.record, r.Restart)
	}
}

// putBack puts the settings of a record back. When it returns without an error they are
// in force, and all that the server was told before is on its disks.
func (t *Target) putBack(ctx context.Context, record *fastload.Record, dir string, restart Restarter) error {
	left, err := record.PutBack(ctx, t.admin)
	if err != nil {
		return err
	}
	for _, name := range left {
		t.reporter.Report(progress.Warning{Object: "target", Text: "setting " + name + " was changed by somebody else meanwhile; it is left as it is"})
	}
	if record.NeedsRestart() {
		if restart == nil {
			t.reporter.Report(progress.Warning{Object: "target", Text: "settings that a run had changed are back in its configuration, and in force when it is restarted",
				Remedy: "restart it"})
			return record.Forget(ctx, t.admin, dir)
		}
		if err := t.restart(ctx, record, restart); err != nil {
			return err
		}
	}
	if record.Relaxed() {
		if err := fastload.Flush(ctx, t.admin); err != nil {
			return err
		}
	}
	if err := record.Check(ctx, t.admin, left); err != nil {
		return err
	}
	return record.Forget(ctx, t.admin, dir)
}

// restart restarts the server, and takes up the session and its locks again.
func (t *Target) restart(ctx context.Context, record *fastload.Record, restart Restarter) error {
	database := t.admin.Config().Database
	_ = t.admin.Close(context.WithoutCancel(ctx))
	endpoint, err := restart(ctx, record.Repair)
	if err != nil {
		return fmt.Errorf("restart the target: %w", err)
	}
	t.endpoint = endpoint.Hosts()[0]
	if err := t.connect(ctx, database); err != nil {
		return fmt.Errorf("target %s: connect after its restart: %w", endpoint.Name, err)
	}
	return t.lock(ctx)
}

// fastLoad refuses a level that would put other databases at risk, or cannot be had.
func (c *checker) fastLoad(ctx context.Context) error {
	if !c.needs.FastLoad.risky() {
		return nil
	}
	_, _, reason, err := c.planFastLoad(ctx, c.needs.FastLoad, Resources{}, c.needs.InPlace, c.needs.Restartable)
	if fixed, ok := errors.AsType[*fastload.FixedError](err); ok {
		reason, err = &preflight.Problem{Object: "target", Text: fixed.Text, Remedy: fixed.Remedy}, nil
	}
	if err == nil && reason != nil {
		c.findings.Problem(reason.Object, "--fast-load "+string(c.needs.FastLoad)+": "+reason.Text, reason.Remedy)
	}
	return err
}

// planFastLoad finds out what of a level can be had. reason says why nothing can, or the error does if it is a
// [*fastload.FixedError].
func (t *Target) planFastLoad(ctx context.Context, level FastLoad, resources Resources, inPlace, canRestart bool) (_ *fastload.Record, dir string, reason *preflight.Problem, err error) {
	no := func(text, remedy string) (*fastload.Record, string, *preflight.Problem, error) {
		return nil, "", &preflight.Problem{Object: "target", Text: text, Remedy: remedy}, nil
	}
	const instead = "use --fast-load auto"
	switch database := t.admin.Config().Database; {
	case !t.Superuser:
		return no("role "+t.endpoint.Config.User+" may not change the server's settings", "connect as a superuser, or "+instead)
	case inPlace || database != "postgres":
		return no("there is no database postgres to keep a note of the settings in", instead)
	case level == FastLoadRestart && !canRestart:
		return no("it is in no container that pgberth could restart", "use --fast-load on")
	}
	others, err := t.worthy(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	if len(others) > 0 {
		return no("it also holds "+preflight.Listing(others)+", which a power failure could destroy while durability is off", instead)
	}
	if level == FastLoadRestart {
		why, err := t.needsWAL(ctx)
		if err != nil {
			return nil, "", nil, err
		}
		if why != "" {
			return no(why, "use --fast-load on")
		}
	}
	record, err := fastload.Plan(ctx, t.admin, t.runID, level.wishes(resources))
	if err != nil {
		return nil, "", nil, err
	}
	if dir, err = fastload.StateDir(); err != nil {
		return no(err.Error(), instead)
	}
	return record, dir, nil, nil
}

// worthy lists the databases of the server that hold something, whoever filled them.
func (t *Target) worthy(ctx context.Context) ([]string, error) {
	rows, err := t.admin.Query(ctx, `
SELECT datname::text, pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(oid)) FROM pg_catalog.pg_database
WHERE datname NOT IN ('template0') ORDER BY datname`)
	if err != nil {
		return nil, fmt.Errorf("list the target's databases: %w", err)
	}
	type database struct{ name, size string }
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d database, err error) { return d, row.Scan(&d.name, &d.size) })
	if err != nil {
		return nil, fmt.Errorf("list the target's databases: %w", err)
	}
	var worthy []string
	for _, d := range all {
		empty, err := t.isEmpty(ctx, d.name)
		if err != nil {
			return nil, err
		}
		if !empty {
			worthy = append(worthy, fmt.Sprintf("database %s (%s)", d.name, d.size))
		}
	}
	return worthy, nil
}

// needsWAL says what would suffer from a restart with wal_level minimal, or keep the server from
// starting. Sessions of this run that have just ended may still show: those of other runs hold a
// lock.
func (t *Target) needsWAL(ctx context.Context) (why string, err error) {
	err = t.admin.QueryRow(ctx, `
SELECT CASE
  WHEN pg_catalog.pg_is_in_recovery() THEN 'it is a standby'
  WHEN pg_catalog.current_setting('archive_mode') <> 'off' THEN 'it archives its WAL'
  WHEN COALESCE(pg_catalog.current_setting('summarize_wal', true), 'off') <> 'off' THEN 'it summarizes its WAL for incremental backups'
  WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_replication_slots) THEN 'it has replication slots'
  WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_stat_replication) THEN 'a standby or a backup follows its WAL'
  WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
      AND (application_name <> $1 OR pid IN (SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = $2)))
    THEN 'sessions are connected to it, which the restart would end'
  ELSE '' END`, session.ApplicationName, lockRun).Scan(&why)
	if err != nil {
		return "", fmt.Errorf("look for what needs the target's WAL: %w", err)
	}
	return why, nil
}

// RecoverSettings puts back what runs that are dead had changed of the server's settings. If it cannot, and
// durability is turned off, or may be, this run fails; so it does while a living one has turned it off, since
// nobody waits for that.
func (t *Target) RecoverSettings(ctx context.Context, restart Restarter) error {
	if !t.Superuser || t.admin.Config().Database != "postgres" {
		return nil
	}
	dir, err := fastload.StateDir()
	if err != nil {
		return nil // then no run of this account has changed anything
	}
	records, err := fastload.Pending(ctx, t.admin, dir)
	if note, ok := errors.AsType[*fastload.NoteError](err); ok {
		// The server has another.
		t.reporter.Report(progress.Warning{Object: "target", Text: note.Error()})
	} else if err != nil {
		return err
	}
	for _, record := range records {
		alive, err := t.lives(ctx, record.Run)
		switch {
		case err != nil:
			return err
		case alive && record.Relaxed():
			return fmt.Errorf("another pgberth run is filling the target with durability turned off: %w", ErrLocked)
		case alive:
			continue
		}
		if busy, err := t.needsWAL(ctx); err != nil {
			return err
		} else if busy != "" {
			restart = nil // its users decide when
		}
		err = t.putBack(ctx, record, dir, restart)
		if err != nil && (record.Relaxed() || ctx.Err() != nil || t.admin.IsClosed()) {
			return fmt.Errorf("put back settings of the target that a run which was ended from outside had changed: %w", err)
		}
		text := "a run that was ended from outside had changed the server's settings; they are put back"
		if err != nil {
			text = "a run that was ended from outside had changed the server's settings; not all are put back: " + err.Error()
		}
		t.reporter.Report(progress.Warning{Object: "target", Text: text})
	}
	return nil
}
