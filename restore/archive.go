package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// ArchiveOptions are what a restore from an archive is to do. The zero value
// of every field but To is usable.
type ArchiveOptions struct {
	To *conninfo.Endpoint // its database is the final name

	Jobs       int // parallel workers; 0 chooses by the machine
	Replace    bool
	DropOld    bool
	Disconnect bool
	InPlace    bool
	NoRoles    bool
	// AllowDowngrade restores the archive of a newer server into an older
	// one, and goes on after a statement the target refuses.
	AllowDowngrade bool
	Verified       bool // the archive was found whole just now
	VerifyNone     bool // do not hold rows stored against rows sent
	VerifyData     bool // read the target again and compare row hashes

	Selection archive.Selection
	Archive   archive.RestoreOptions
	Resources Resources // of the target, as far as they are known
	// FastLoad is which of the target's settings may be changed; Restart is how it is restarted.
	FastLoad FastLoad
	Restart  Restarter
	// FreeDisk returns the bytes free for the target's data, if it is known.
	FreeDisk func(context.Context) (int64, error)
	Reporter progress.Reporter
}

// FromArchive restores an archive into a server. Nothing of the target is
// touched before every byte of the archive was found whole. After a
// [*PartialError] the database is in place and the result valid.
func FromArchive(ctx context.Context, a archive.Archive, opts ArchiveOptions) (*Result, error) {
	toc, err := a.TOC().Select(opts.Selection)
	if err != nil {
		return nil, err
	}
	opts.complete()
	start := time.Now()
	opts.Reporter.Report(progress.PhaseStart{Phase: progress.Preflight})
	if !opts.Verified {
		if err := archive.VerifyStored(ctx, a); err != nil {
			return nil, fmt.Errorf("the archive is damaged: %w", err)
		}
	}
	return opts.run(ctx, start, &archiveSource{archive: a, toc: toc}, a.Manifest())
}

// FromPipe restores a custom archive that comes through a pipe, which cannot
// be checked before it is used: only the staging database protects from a
// damaged one. The end of ctx does not interrupt a read from the pipe.
func FromPipe(ctx context.Context, reader *archive.CustomReader, opts ArchiveOptions) (*Result, error) {
	toc, err := reader.TOC().Select(opts.Selection)
	if err != nil {
		return nil, err
	}
	opts.complete()
	opts.Reporter.Report(progress.PhaseStart{Phase: progress.Preflight})
	return opts.run(ctx, time.Now(), &pipeSource{reader: reader, toc: toc}, nil)
}

func (o *ArchiveOptions) complete() {
	if o.Reporter == nil {
		o.Reporter = progress.Discard
	}
	if o.Jobs <= 0 {
		o.Jobs = o.Resources.Jobs()
		if o.To.Wire != nil {
			o.Jobs = max(o.Jobs, copywire.WireJobs)
		}
	}
}

// run restores from a source, with what a manifest adds to it.
func (opts *ArchiveOptions) run(ctx context.Context, start time.Time, source Source, manifest *archive.Manifest) (_ *Result, err error) {
	defer func() { err = session.Interrupted(ctx, err) }()
	target, err := OpenTarget(ctx, opts.To, opts.InPlace, opts.Reporter)
	if err != nil {
		return nil, err
	}
	defer target.Close(ctx)
	if err := target.Lock(ctx); err != nil {
		return nil, err
	}
	if !opts.InPlace {
		if err := target.DropLeftovers(ctx); err != nil {
			return nil, err
		}
		if err := target.RecoverSettings(ctx, opts.Restart); err != nil {
			return nil, err
		}
	}
	roles, err := opts.check(ctx, source.TOC(), manifest, target)
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	opts.Reporter.Report(progress.PhaseEnd{Phase: progress.Preflight, Elapsed: elapsed})
	result, err := Run(ctx, Options{
		Source: source, Target: target, Roles: roles, Jobs: opts.Jobs, Resources: opts.Resources, FastLoad: opts.FastLoad, Restart: opts.Restart,
		Replace: opts.Replace, DropOld: opts.DropOld, Disconnect: opts.Disconnect, InPlace: opts.InPlace,
		VerifyRows: !opts.VerifyNone, VerifyData: opts.VerifyData, Tolerant: opts.AllowDowngrade,
		Archive: opts.Archive, Reporter: opts.Reporter,
	})
	if result != nil {
		result.Phases = append([]Phase{{Name: progress.Preflight, Elapsed: elapsed}}, result.Phases...)
	}
	return result, err
}

// check is the preflight of a restore from an archive. It returns the roles to
// create.
func (opts *ArchiveOptions) check(ctx context.Context, toc *archive.TOC, m *archive.Manifest, target *Target) ([]Role, error) {
	needs := Needs{
		TOC: toc, Archive: opts.Archive, Sessions: 2*opts.Jobs + 3,
		Replace: opts.Replace, Disconnect: opts.Disconnect, InPlace: opts.InPlace,
		FastLoad: opts.FastLoad, Restartable: opts.Restart != nil,
		Partial: opts.Selection.IsPart(), RolesUnknown: m == nil, NoRoles: opts.NoRoles,
	}
	survey, err := target.Survey(ctx)
	if err != nil {
		return nil, err
	}
	if !opts.NoRoles && m != nil {
		needs.NewRoles = missingRoles(m.Roles, archive.RolesNamed(toc.Entries, opts.Archive), survey.Roles)
	}
	findings, err := target.Check(ctx, survey, needs)
	if err != nil {
		return nil, err
	}
	opts.checkVersion(toc, target, &findings)
	if !opts.Selection.HasSection(archive.SectionPreData) && !opts.InPlace {
		findings.Problem("--section", "without pre-data there is nothing to fill in a new database", "use --in-place with a database that has the tables")
	}
	if m != nil && opts.FreeDisk != nil {
		if err := opts.checkDisk(ctx, m, &findings); err != nil {
			return nil, err
		}
	}
	for _, w := range findings.Warnings {
		opts.Reporter.Report(progress.Warning{Object: w.Object, Text: w.Text, Remedy: w.Remedy})
	}
	return needs.NewRoles, findings.Err()
}

func (opts *ArchiveOptions) checkVersion(toc *archive.TOC, target *Target, f *preflight.Findings) {
	from, to := toc.Header.ServerMajor(), target.Version/10000
	if from <= to {
		return
	}
	text := fmt.Sprintf("was taken from PostgreSQL %d; the target is %d, and may not know what it is told", from, to)
	if opts.AllowDowngrade {
		f.Warning("archive", text, "")
		return
	}
	f.Problem("archive", text, fmt.Sprintf("restore into version %d or later, or use --allow-downgrade, which reports every statement that fails", from))
}

func (opts *ArchiveOptions) checkDisk(ctx context.Context, m *archive.Manifest, f *preflight.Findings) error {
	var need int64
	for _, t := range m.Tables {
		need += t.Raw
	}
	free, err := opts.FreeDisk(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f.Warning("target", fmt.Sprintf("its free disk space could not be read (%v)", err), "")
		return nil
	}
	opts.Resources.Disk = max(0, free-2*need)
	if free < need/2 {
		f.Problem("target", fmt.Sprintf("has %s of disk free; the archive's rows alone are %s of text", human.Bytes(free), human.Bytes(need)), "make room")
	}
	return nil
}

// missingRoles are those of a manifest that are wanted and not there, with the
// roles they are members of. A stock archive has none: its roles must be there.
func missingRoles(known []archive.ManifestRole, named []string, have map[string]bool) []Role {
	wanted := map[string]bool{}
	for _, name := range named {
		wanted[name] = true
	}
	var roles []Role
	for _, r := range known { // parents come after those who need them
		if !wanted[r.Name] || have[r.Name] || len(r.SQL) == 0 {
			continue
		}
		role := Role{Name: r.Name, Superuser: strings.Contains(r.SQL[0], " WITH SUPERUSER "),
			NoPassword: needsPassword(r.SQL[0])}
		for _, sql := range r.SQL {
			if parent, isGrant := archive.GrantedRole(sql); isGrant {
				role.Grants = append(role.Grants, Grant{Parent: parent, SQL: sql})
				wanted[parent] = true
			} else {
				role.Create = append(role.Create, sql)
			}
		}
		roles = append(roles, role)
	}
	return roles
}

// needsPassword says why a role is created without a password, if it may log in.
func needsPassword(create string) string {
	if strings.Contains(create, " LOGIN") {
		return "is created without a password, which archives do not hold"
	}
	return ""
}

// archiveSource feeds a restore from an archive at rest.
type archiveSource struct {
	archive archive.Archive
	toc     *archive.TOC // with the selected entries
}

var _ Source = (*archiveSource)(nil)

func (s *archiveSource) TOC() *archive.TOC               { return s.toc }
func (s *archiveSource) Size(e *archive.Entry) int64     { return s.archive.DataSize(e) }
func (s *archiveSource) Binary(*archive.Entry) bool      { return false }
func (s *archiveSource) Condition(*archive.Entry) string { return "" }

func (s *archiveSource) Expected(e *archive.Entry) (rows int64, hash uint64, known bool) {
	m := s.archive.Manifest()
	if m == nil {
		return 0, 0, false
	}
	t := m.Table(e.ID)
	if t == nil {
		return 0, 0, false
	}
	hash, err := strconv.ParseUint(t.Hash, 16, 64)
	return t.Rows, hash, err == nil
}

func (s *archiveSource) Streams(ctx context.Context, e *archive.Entry, n int) ([]Stream, error) {
	readers, err := s.readers(ctx, e, n)
	if err != nil {
		return nil, err
	}
	streams := make([]Stream, len(readers))
	for i, r := range readers {
		streams[i] = func(_ context.Context, sink copywire.Sink, hash *copywire.RowHash) (copywire.Tally, error) {
			return copyText(r, sink, hash)
		}
	}
	return streams, nil
}

func (s *archiveSource) readers(ctx context.Context, e *archive.Entry, n int) ([]io.ReadCloser, error) {
	if splitter, ok := s.archive.(archive.Splitter); ok && n > 1 {
		return splitter.SplitTable(ctx, e, n)
	}
	r, err := s.archive.TableData(ctx, e)
	if err != nil {
		return nil, err
	}
	return []io.ReadCloser{r}, nil
}

// copyText sends COPY text. Rows are counted by their line breaks.
func copyText(r io.ReadCloser, sink copywire.Sink, hash *copywire.RowHash) (tally copywire.Tally, err error) {
	defer func() { err = errors.Join(err, r.Close()) }()
	if hash == nil {
		hash = copywire.NewRowHash(false)
	}
	w, ok := sink.(io.Writer)
	if !ok {
		return tally, errors.New("rows of an archive need a sink that takes data without frames")
	}
	n, err := io.CopyBuffer(io.MultiWriter(hash, w), onlyReader{r}, make([]byte, 128<<10))
	return copywire.Tally{Rows: hash.Rows, Bytes: n, Hash: hash.Sum}, err
}

// onlyReader hides WriterTo, which would choose buffers of its own.
type onlyReader struct{ io.Reader }

func (s *archiveSource) LargeObjects(ctx context.Context, fn func(e *archive.Entry, oid uint32, data io.Reader) error) error {
	for _, e := range s.toc.Find(archive.DescBlobs) {
		if err := s.largeObjects(ctx, e, fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *archiveSource) largeObjects(ctx context.Context, e *archive.Entry, fn func(*archive.Entry, uint32, io.Reader) error) (err error) {
	objects, err := s.archive.LargeObjects(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, objects.Close()) }()
	for {
		oid, data, err := objects.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fn(e, oid, data)
		}
		if err != nil {
			return err
		}
	}
}
