package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
)

const (
	filesTitle = "Files are as the manifest has them"
	rolesTitle = "Roles, with attributes and memberships"
)

// checkFiles reads the backup as it is stored. What it finds wrong ends the drill: nothing else is worth asking.
func (d *drill) checkFiles(ctx context.Context, s *source) error {
	files := Check{Name: "files", Title: filesTitle, Status: OK}
	start := time.Now()
	err := s.open(ctx)
	opened := err == nil
	if opened {
		s.describe(d.report, d.History)
		err = s.verify(ctx)
	} else {
		d.describeUnread(ctx, s)
	}
	files.Elapsed = time.Since(start)
	if err != nil && !isDamage(err) {
		return infrastructure(err)
	}
	if s.contents != nil {
		n := len(s.contents.Stored().Files)
		files.Expected = human.Count(n, "file", "files") + " with their sizes and SHA-256"
		files.Found = "all of them"
	} else {
		files.Title, files.Expected, files.Found = "The archive can be read to its end", "all data decompresses, all rows are complete", "so it is; there is no manifest"
	}
	if err != nil {
		files.fail("damage", s.damage(ctx, err, opened)...)
		d.report.add(files)
		return errRejected
	}
	d.report.add(files)
	if d.report.Backup.Encrypted {
		d.report.add(Check{Name: "decryption", Title: "Decrypts with the key given", Status: OK,
			Expected: "every file", Found: human.Count(len(s.contents.Manifest.Files), "file", "files") + ", each as it was before encryption"})
	}
	return d.timed("contents", "The table of contents can be read", func(c *Check) error {
		toc := s.archive.TOC()
		c.Expected, c.Found = "an archive that PostgreSQL's own tools read", human.Count(len(toc.Entries), "entry", "entries")+", layout "+toc.Header.Version()
		return nil
	})
}

// verify reads every file, unless that was done while they were fetched.
func (s *source) verify(ctx context.Context) error {
	if s.contents == nil {
		_, err := archive.Verify(ctx, s.archive)
		return err
	}
	if s.fetched != "" && !s.contents.Stored().Encrypted() {
		return nil
	}
	return s.contents.Check(ctx)
}

// checkFreshness compares the age of the data with its target.
func (d *drill) checkFreshness() {
	r := d.report
	age := r.Started.Sub(r.Backup.Snapshot)
	r.RPO = Objective{Measured: max(0, age), Target: d.RPO}
	c := Check{Name: "freshness", Title: "The data is recent enough", Status: OK, Found: human.Duration(age) + " old"}
	switch {
	case d.RPO == 0:
		c.Expected = "no target was given"
		c.Status = Skipped
	case age > d.RPO:
		c.Expected = "at most " + human.Duration(d.RPO) + " old"
		c.fail("", fmt.Sprintf("the snapshot is of %s", r.Backup.Snapshot.UTC().Format(time.RFC3339)))
	default:
		c.Expected = "at most " + human.Duration(d.RPO) + " old"
	}
	r.add(c)
}

// provideRoles makes sure of the roles that the archive names. Without a manifest, which would say how, they are made by
// name. A manifest has them all: one that it lacks rejects the backup.
func (d *drill) provideRoles(ctx context.Context) error {
	conn, err := d.connect(ctx, "postgres")
	if err != nil {
		return infrastructure(err)
	}
	defer session.HangUp(ctx, conn)
	have, err := catalog.RoleNames(ctx, conn)
	if err != nil {
		return infrastructure(err)
	}
	m := d.source.manifest()
	check := Check{Name: "roles", Title: rolesTitle, Expected: "every role that the database names"}
	for _, role := range archive.RolesNamed(d.source.archive.TOC().Entries, archive.RestoreOptions{}) {
		switch {
		case have[role]:
		case m == nil:
			if _, err := conn.Exec(ctx, "CREATE ROLE "+archive.QuoteIdent(role)); err != nil {
				return infrastructure(fmt.Errorf("create role %s: %w", role, err))
			}
		case m.Roles != nil && !slices.ContainsFunc(m.Roles, func(r archive.ManifestRole) bool { return r.Name == role }):
			check.fail("not all of them", "role "+role+" is missing: the database names it, and the backup does not hold it")
		}
	}
	if check.Status == Bad {
		d.report.add(check)
		return errRejected
	}
	return nil
}

// disableEventTriggers keeps what was restored from meddling with the drill.
func (d *drill) disableEventTriggers(ctx context.Context) error {
	conn, err := d.connect(ctx, d.database)
	if err != nil {
		return d.blame(ctx, err)
	}
	defer session.HangUp(ctx, conn)
	var sql string
	if err := conn.QueryRow(ctx, `
SELECT COALESCE(pg_catalog.string_agg(pg_catalog.format('ALTER EVENT TRIGGER %I DISABLE', evtname), '; '), '') FROM pg_catalog.pg_event_trigger`).Scan(&sql); err != nil {
		return infrastructure(err)
	}
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return infrastructure(errors.Join(errors.New("disable the event triggers"), err))
	}
	return nil
}
