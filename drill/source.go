package drill

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
)

// A Backup is what is drilled: a folder of a repository, or an archive at a path.
type Backup struct {
	Name       string // DB/ID, or the path
	Repository string // where it is, "" for a path
	// Folder holds its files as they are stored. It stays the caller's. Nil stands for Path.
	Folder     archive.Folder
	Path       string
	Identities []archive.Identity // that decrypt it
	// Fetch copies the files here first: the folder is far away, and all of it is read twice.
	Fetch bool
}

// DatabaseName is that of the database in the backup, or "" if the backup cannot be opened so far.
func (b Backup) DatabaseName(ctx context.Context) string {
	folder := b.Folder
	if folder == nil {
		directory, err := archive.OpenDirectory(b.Path)
		if err != nil {
			return fileDatabase(b.Path)
		}
		defer directory.Close() // only read from
		folder = directory
	}
	if m, err := archive.ReadManifest(ctx, folder); err == nil {
		return m.Database.Name
	}
	return fileDatabase(b.Path)
}

func fileDatabase(path string) string {
	if path == "" {
		return ""
	}
	a, err := archive.Open(path)
	if err != nil {
		return ""
	}
	defer a.Close() // only read from
	return a.TOC().DatabaseName()
}

// source is the backup, open.
type source struct {
	backup   Backup
	fetched  string // temporary folder with a copy, or ""
	folder   archive.Folder
	stored   *archive.Manifest // of the files as they are stored, once it was fetched
	contents *archive.Contents
	archive  archive.Archive
	catalog  *archive.Catalog // or nil
}

// fetchPrefix begins the names of temporary folders; see reapFolders.
const fetchPrefix = "pgberth-drill-fetch-"

// fetch copies a backup that is far away.
func (s *source) fetch(ctx context.Context) error {
	s.folder = s.backup.Folder
	if s.folder == nil || !s.backup.Fetch {
		return nil
	}
	m, err := archive.ReadManifest(ctx, s.folder)
	if err != nil {
		return fromFolder(err)
	}
	s.stored = m
	if err := archive.CheckSizes(ctx, s.folder, m); err != nil { // no others come along
		return fromFolder(err)
	}
	dir, err := makeFolder(fetchPrefix)
	if err != nil {
		return infrastructure(err)
	}
	s.fetched = dir
	path := filepath.Join(dir, "backup")
	to, err := archive.CreateFolder(path)
	if err != nil {
		return infrastructure(err)
	}
	if err := archive.CopyFiles(ctx, s.folder, m, to); err != nil {
		return fromFolder(err)
	}
	s.folder, err = archive.OpenDirectory(path)
	return infrastructure(err)
}

// fromFolder marks an error in reading a folder, unless it is damage.
func fromFolder(err error) error {
	if err == nil || isDamage(err) {
		return err
	}
	return infrastructure(err)
}

// open opens the archive. A folder has a manifest; a path may be an archive of stock tools.
func (s *source) open(ctx context.Context) (err error) {
	if s.folder == nil {
		return s.openPath(ctx)
	}
	s.contents, err = archive.OpenContents(ctx, s.folder, s.backup.Identities...)
	if errors.Is(err, fs.ErrNotExist) && !isDamage(err) {
		return &archive.CorruptError{File: archive.ManifestName, Err: fs.ErrNotExist}
	}
	if err != nil {
		return fromFolder(err)
	}
	return s.openArchive(ctx, s.contents.Folder)
}

func (s *source) openPath(ctx context.Context) (err error) {
	kind, err := archive.Detect(s.backup.Path)
	if _, statErr := os.Stat(filepath.Join(s.backup.Path, archive.ManifestName)); statErr == nil && errors.Is(err, archive.ErrNotArchive) {
		kind, err = archive.KindDirectory, nil // whose table of contents is missing
	}
	if err != nil {
		return fromFolder(err)
	}
	if kind == archive.KindDirectory {
		folder, err := archive.OpenDirectory(s.backup.Path)
		if err != nil {
			return infrastructure(err)
		}
		s.folder = folder
		s.contents, err = archive.OpenContents(ctx, folder, s.backup.Identities...)
		if err == nil {
			return s.openArchive(ctx, s.contents.Folder)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fromFolder(err)
		}
	}
	s.archive, err = archive.Open(s.backup.Path)
	return fromFolder(err)
}

func (s *source) openArchive(ctx context.Context, folder archive.Folder) (err error) {
	// The archive closes its folder, which is not its own.
	s.archive, err = archive.OpenFolder(ctx, unclosed{folder})
	if err != nil {
		return fromFolder(err)
	}
	s.catalog, err = archive.ReadCatalog(ctx, s.archive)
	return fromFolder(err)
}

type unclosed struct{ archive.Folder }

func (unclosed) Close() error { return nil }

func (s *source) Close() error {
	var errs []error
	if s.archive != nil {
		errs = append(errs, s.archive.Close())
	}
	if s.folder != nil && s.folder != s.backup.Folder {
		errs = append(errs, s.folder.Close())
	}
	if s.fetched != "" {
		errs = append(errs, os.RemoveAll(s.fetched))
	}
	return errors.Join(errs...)
}

func (s *source) manifest() *archive.Manifest {
	if s.contents != nil {
		return s.contents.Manifest
	}
	return nil
}

// entries are those that a drill restores. The contents of large objects, which have one of their own, are not counted.
func (s *source) entries() []*archive.Entry {
	left := archive.RestoreOptions{NoPublications: true, NoSubscriptions: true}
	var list []*archive.Entry
	for _, e := range s.archive.TOC().Entries {
		if !e.IsSetting() && !e.IsDatabaseLevel() && e.Parts() != 0 && e.Desc != archive.DescBlobs && !left.Skips(e) {
			list = append(list, e)
		}
	}
	return list
}

// serverSpec is the server that the backup asks for: of its own version, made by the same role.
func (s *source) serverSpec() ServerSpec {
	want := ServerSpec{Major: s.archive.TOC().Header.ServerMajor(), Superuser: "postgres"}
	if s.catalog != nil {
		want.Superuser, want.Image = s.catalog.Superuser, s.catalog.Image
	}
	if m := s.manifest(); m != nil {
		want.Bytes = m.Total().Raw
	}
	return want
}

// describeUnread notes in the report what a backup is that cannot be opened, so far as its manifest tells. Without one the
// names of its files tell whether it is encrypted.
func (d *drill) describeUnread(ctx context.Context, s *source) {
	if s.folder == nil {
		return
	}
	m, err := s.stored, error(nil)
	if m == nil {
		m, err = archive.ReadManifest(ctx, s.folder)
	}
	if err != nil {
		if !isDamage(err) && !errors.Is(err, fs.ErrNotExist) {
			return
		}
		list, err := s.folder.List(ctx)
		d.report.Backup.Encrypted = err == nil && slices.ContainsFunc(list, func(f archive.FolderEntry) bool { return strings.HasSuffix(f.Name, archive.SealedSuffix) })
		return
	}
	s.stored = m
	b := &d.report.Backup
	b.Database, b.ServerVersion = m.Database.Name, m.Server.Version
	b.fromManifest(m, m)
	d.report.follow(d.History)
}

// damage lists all that is damaged in a backup of which err says that something is: all, unless it has looked no further.
func (s *source) damage(ctx context.Context, err error, all bool) []string {
	list := archive.Damages(err)
	if !all && s.stored != nil && s.folder != nil {
		for _, f := range archive.Damages(archive.CheckFiles(ctx, s.folder, s.stored)) {
			if !slices.ContainsFunc(list, func(known *archive.CorruptError) bool { return known.File == f.File }) {
				list = append(list, f)
			}
		}
	}
	if len(list) == 0 {
		return []string{err.Error()}
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *archive.CorruptError) int { return strings.Compare(a.File, b.File) })
	var names []string
	for _, f := range list {
		names = append(names, f.Error())
	}
	return names
}

// fromManifest notes what manifests tell: that of the files as they are stored, and the one of what is in them.
func (b *BackupInfo) fromManifest(stored, m *archive.Manifest) {
	total := m.Total()
	b.Manifest, b.SystemIdentifier, b.Snapshot = stored.Checksum, m.Server.SystemIdentifier, m.Snapshot.Time
	b.Tables, b.Rows, b.Raw, b.LargeObjects = total.Tables, total.Rows, total.Raw, total.LargeObjects
	b.Encrypted, b.Stored = stored.Encrypted(), stored.Size()
}

// follow names the last report about the same database.
func (r *Report) follow(history []*Stored) {
	if last := Last(history, r.Backup.Database); last != nil {
		r.Previous = last.Sum
	}
}

// describe notes in the report what is drilled, and which report was the last about it.
func (s *source) describe(r *Report, history []*Stored) {
	defer func() { r.follow(history) }()
	b := &r.Backup
	b.Name, b.Repository = s.backup.Name, s.backup.Repository
	toc := s.archive.TOC()
	b.Database, b.ServerVersion, b.PgDump = toc.DatabaseName(), toc.Header.ServerVersion.String, toc.Header.DumpVersion.String
	c := toc.Header.Created // by the clock of a host whose zone archives do not tell
	b.Snapshot = time.Date(c.Year+1900, time.Month(c.Month+1), c.Day, c.Hour, c.Min, c.Sec, 0, time.Local).UTC()
	for _, e := range toc.Entries {
		b.Stored += s.archive.DataSize(e)
	}
	m := s.manifest()
	if m == nil {
		return
	}
	b.fromManifest(s.contents.Stored(), m)
}
