package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/restore"
)

// Sessions a run holds beside its workers: on the target, the admin session,
// large objects, and one for a swap with --disconnect; on the source, the
// snapshot's and pg_dump's.
const extraSessions = 3

// preflight collects every problem. The target is prepared and looked at while pg_dump reads the source. The error is
// for what could not be looked at.
func (m *migration) preflight(ctx context.Context, prepare func(context.Context) error) error {
	sourceCtx, stop := context.WithCancel(ctx)
	m.stop = stop               // pg_dump lives on, for the large objects
	version := m.target.Version // the target's session may be another one by the time it is read
	var target struct {
		identity       string
		prepared, seen error
	}
	var work sync.WaitGroup
	work.Go(func() {
		if target.prepared = prepare(ctx); target.prepared != nil {
			stop()
			return
		}
		if target.identity, target.seen = m.identify(ctx, m.target.Admin(), "target"); target.seen == nil {
			m.survey, target.seen = m.target.Survey(ctx)
		}
	})
	diskCtx, stopDisk := context.WithCancel(ctx)
	free := sync.OnceValues(func() (int64, error) { return m.FreeDisk(diskCtx) })
	if m.FreeDisk != nil {
		go free() // it takes a program's start in the container: while pg_dump is at work
		defer free()
	}
	defer stopDisk()
	identity, err := m.checkSource(sourceCtx, version)
	work.Wait()
	for _, err := range []error{target.prepared, err, target.seen} {
		if err != nil {
			return err
		}
	}
	if identity != "" && identity == target.identity {
		// What is in the target, and who uses it, says nothing of the one to be named instead.
		m.findings.Problems = slices.Insert(m.findings.Problems, 0, Problem{
			Object: "database " + m.target.Name, Text: "is the source and the target at once", Remedy: "name another database in --to"})
		return nil
	}
	return m.checkTarget(ctx, free)
}

// checkSource finds what keeps the source from being read, and reads its schema. It returns the server's identity.
func (m *migration) checkSource(ctx context.Context, targetVersion int) (identity string, err error) {
	if identity, err = m.identify(ctx, m.snapshot.Leader(), "source"); err != nil {
		return "", err
	}
	m.checkVersions(targetVersion)
	if err := m.checkSourceSessions(ctx); err != nil {
		return "", err
	}
	if err := m.readSchema(ctx, targetVersion); err != nil {
		return "", err
	}
	m.checkCopyFormat()
	return identity, nil
}

// checkCopyFormat finds the tables that cannot go in the format that was asked for.
func (m *migration) checkCopyFormat() {
	if m.CopyFormat != CopyBinary || m.live == nil {
		return
	}
	const remedy = "leave --copy-format at auto"
	if m.From.Wire != nil || m.To.Wire != nil {
		m.findings.Problem("--copy-format=binary", "rows travel compressed, and as text only", "use --wire-compress=off, or "+remedy)
		return
	}
	for _, e := range m.live.TOC().Find(archive.DescTableData) {
		if !m.live.Binary(e) {
			m.findings.Problem("table "+e.Namespace.String+"."+e.Tag, "it has columns whose types have no binary form that is the same on every server", remedy)
		}
	}
}

// readSchema finds what keeps the source from being read. Without a schema the
// target is only checked for what does not depend on it.
func (m *migration) readSchema(ctx context.Context, targetVersion int) error {
	if !m.chooseClients(targetVersion) {
		m.merge(m.snapshot.CheckAll())
		return nil
	}
	err := m.dump(ctx)
	if err == nil {
		findings, err := m.live.Check(ctx)
		m.merge(findings)
		return err
	}
	unreadable := m.snapshot.CheckAll()
	if len(unreadable.Problems) == 0 || ctx.Err() != nil {
		return err
	}
	m.merge(unreadable) // pg_dump tells of the first of them only
	var all interface{ Unwrap() []error }
	if errors.As(err, &all) {
		err = all.Unwrap()[0] // other clients say the same
	}
	m.findings.Problem("pg_dump", err.Error(), "mend the other problems first")
	return nil
}

func (m *migration) merge(f preflight.Findings) {
	m.findings.Problems = append(m.findings.Problems, f.Problems...)
	m.findings.Warnings = append(m.findings.Warnings, f.Warnings...)
}

// identify answers what identifies a server wherever it is reached, or "" where the databases have different names.
func (m *migration) identify(ctx context.Context, conn *pgx.Conn, side string) (identity string, err error) {
	if m.From.Database() != m.target.Name {
		return "", nil
	}
	// A standby, or a server made of a copy of the files, has the identifier too, but was started by itself.
	if err := conn.QueryRow(ctx, `
SELECT system_identifier || ' ' || pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())
FROM pg_catalog.pg_control_system()`).Scan(&identity); err != nil {
		return "", fmt.Errorf("identify the %s's server: %w", side, err)
	}
	return identity, nil
}

func (m *migration) checkVersions(targetVersion int) {
	from, to := pgtools.Major(m.snapshot.Version), pgtools.Major(targetVersion)
	for _, s := range []struct {
		object string
		major  int
	}{{"source", from}, {"target", to}} {
		if s.major < 13 {
			m.findings.Problem(s.object, fmt.Sprintf("is PostgreSQL %d", s.major), "pgberth needs 13 or later")
		}
	}
	if to < from {
		m.findings.Warning("target", fmt.Sprintf("is PostgreSQL %d, older than the source's %d: what it does not know is refused before any row moves, "+
			"but a function's body is only read when it is called", to, from), "use a target of the source's version or later")
	}
}

// chooseClients reports whether there is a client that can dump the source.
func (m *migration) chooseClients(targetVersion int) bool {
	var problem *Problem
	m.clients, problem = pgtools.Rank(m.Clients, pgtools.Major(m.snapshot.Version), pgtools.Major(targetVersion))
	if problem != nil {
		m.findings.Problems = append(m.findings.Problems, *problem)
	}
	return problem == nil
}

func (m *migration) checkSourceSessions(ctx context.Context) error {
	var free int
	if err := m.snapshot.Leader().QueryRow(ctx, `
SELECT LEAST(
  pg_catalog.current_setting('max_connections')::int - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
  CASE WHEN r.rolsuper OR r.rolconnlimit < 0 THEN 100000 ELSE r.rolconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = r.rolname) END,
  CASE WHEN r.rolsuper OR d.datconnlimit < 0 THEN 100000 ELSE d.datconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = d.datname) END)
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()`).Scan(&free); err != nil {
		return fmt.Errorf("count the source's free connections: %w", err)
	}
	if need := 2*m.Jobs + 1; free < need {
		m.findings.Problem("source", fmt.Sprintf("has %d connections free, the run needs %d", free, need),
			"use fewer --jobs, or raise the connection limit")
	}
	return nil
}

// checkDisk compares the disk with what is to come, bloat included: a server
// whose disk runs full may stop, with all of its databases.
func (m *migration) checkDisk(ctx context.Context, freeDisk func() (int64, error)) error {
	var oids []uint32
	for _, e := range m.live.TOC().Entries {
		if e.Desc == archive.DescTableData || e.Desc == archive.DescMatviewData {
			oids = append(oids, e.OID)
		}
	}
	blobs := len(m.live.TOC().Find(archive.DescBlobs)) > 0
	var need int64
	if err := m.snapshot.Leader().QueryRow(ctx, `
SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($1) OR $2 AND c.oid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass`, oids, blobs).Scan(&need); err != nil {
		return fmt.Errorf("measure the source: %w", err)
	}
	text := "the tables take " + human.Bytes(need) + " at the source, with their indexes"
	if m.FreeDisk == nil {
		m.findings.Warning("target", "its free disk space is not known to pgberth; "+text, "")
		return nil
	}
	free, err := freeDisk()
	m.Resources.Disk = max(0, free-need)
	switch {
	case err != nil:
		m.findings.Warning("target", fmt.Sprintf("its free disk space could not be read (%v); %s", err, text), "")
	case free < need:
		m.findings.Problem("target", fmt.Sprintf("has %s of disk free; %s", human.Bytes(free), text),
			"make room, leave tables out with --exclude-table-data, or VACUUM FULL those that are bloated at the source")
	}
	return nil
}

func (m *migration) checkTarget(ctx context.Context, freeDisk func() (int64, error)) error {
	toc := &archive.TOC{}
	if m.live != nil {
		toc = m.live.TOC()
		if err := m.checkDisk(ctx, freeDisk); err != nil {
			return err
		}
	}
	var err error
	if m.roles, err = m.planRoles(ctx, toc); err != nil {
		return err
	}
	versions, err := m.extensionVersions(ctx)
	if err != nil {
		return err
	}
	findings, err := m.target.Check(ctx, m.survey, restore.Needs{
		TOC: toc, Archive: m.archiveOptions(), NewRoles: m.roles.create, NoRoles: m.NoRoles, Versions: versions,
		FastLoad: m.FastLoad, Restartable: m.Restart != nil,
		Sessions: 2*m.Jobs + extraSessions, Replace: m.Replace, Disconnect: m.Disconnect, InPlace: m.InPlace,
	})
	if err != nil {
		return err
	}
	m.merge(findings)
	m.findings.Warnings = append(m.findings.Warnings, m.roles.left...)
	if m.InPlace {
		m.findings.Warning("database "+m.target.Name, "--in-place leaves the database's own settings, owner, comment and privileges as they are", "")
	}
	return nil
}

func (m *migration) extensionVersions(ctx context.Context) (map[string]string, error) {
	rows, err := m.snapshot.Leader().Query(ctx, `SELECT extname::text, extversion FROM pg_catalog.pg_extension`)
	if err != nil {
		return nil, fmt.Errorf("read the extensions: %w", err)
	}
	versions := map[string]string{}
	var name, version string
	if _, err := pgx.ForEachRow(rows, []any{&name, &version}, func() error {
		versions[name] = version
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the extensions: %w", err)
	}
	return versions, nil
}

// roles are what becomes of the roles the archive names.
type roles struct {
	create []restore.Role
	left   []Problem // what a user may miss
}

// planRoles finds the roles that the archive names and the target lacks, with
// the roles they are members of.
func (m *migration) planRoles(ctx context.Context, toc *archive.TOC) (roles, error) {
	var r roles
	if m.NoRoles {
		return r, nil
	}
	have := maps.Clone(m.survey.Roles)
	source, err := catalog.Roles(ctx, m.snapshot.Leader(), m.snapshot.Version)
	if err != nil {
		return r, err
	}
	named := archive.RolesNamed(toc.Entries, m.archiveOptions())
	for _, role := range catalog.WithParents(source, named, have) {
		have[role.Name] = true
		named = append(named, role.Name)
		r.create = append(r.create, restore.NewRole(role))
	}
	r.left = missingMembers(source, named, have)
	return r, nil
}

// missingMembers are roles the archive does not name that have their rights
// through one it names: an application may log in as one of them.
func missingMembers(source map[string]*catalog.Role, named []string, have map[string]bool) []Problem {
	var left []Problem
	for name, role := range source {
		if have[name] || !role.Login {
			continue
		}
		for _, parent := range role.Parents {
			if slices.Contains(named, parent.Role) {
				left = append(left, Problem{Object: "role " + name,
					Text:   "is a member of " + parent.Role + " at the source and may log in, but nothing in the database names it: it is not created",
					Remedy: fmt.Sprintf("if an application uses it, CREATE ROLE %s LOGIN and GRANT %s TO it", catalog.Quote(name), catalog.Quote(parent.Role))})
				break
			}
		}
	}
	slices.SortFunc(left, func(a, b Problem) int { return cmp.Compare(a.Object, b.Object) })
	return left
}
