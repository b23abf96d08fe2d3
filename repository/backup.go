package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
)

// A Backup is one that has been published.
type Backup struct {
	Series Series
	ID     string
	Time   time.Time             // in the ID: when the backup was started, by the clock of the host that wrote it
	Size   int64                 // of all its files as they are stored
	Files  []archive.FolderEntry // all of them, by name

	// Manifest is what was published last, or nil if Err is not.
	Manifest *archive.Manifest
	// Err says why the backup is not good: its manifest cannot be read, or a file that it lists is missing or has another size.
	Err error

	store Store
}

var _ archive.Folder = (*Backup)(nil)

// Ref is the name of a backup in a repository: DB/ID.
func (b *Backup) Ref() string { return b.Series.Name() + "/" + b.ID }

// String is Ref for messages.
func (b *Backup) String() string { return b.Series.shown() + "/" + b.ID }

// clockSkew is how far the clocks of hosts that share a repository may be apart.
const clockSkew = time.Hour

// IsFuture reports whether the backup has a time that has not come yet: the clock that gave it to it was wrong, and which backups
// are older cannot be known.
func (b *Backup) IsFuture(now time.Time) bool { return b.Time.After(now.Add(clockSkew)) }

// isDamaged reports whether the backup itself is not good, and not only could not be read this time.
func (b *Backup) isDamaged() bool {
	var corrupt *archive.CorruptError
	return errors.As(b.Err, &corrupt) || errors.Is(b.Err, archive.ErrNewerManifest)
}

// Good reports whether all of the backup is there, as far as can be told without reading its files.
func (b *Backup) Good() bool { return b.Err == nil }

// Counts reports whether the backup is one to go by: good, and with a time that has come.
func (b *Backup) Counts(now time.Time) bool { return b.Good() && !b.IsFuture(now) }

// newest returns the last of the backups, oldest first, that counts; nil if there is none.
func newest(backups []*Backup, now time.Time) *Backup {
	for _, b := range slices.Backward(backups) {
		if b.Counts(now) {
			return b
		}
	}
	return nil
}

// Open opens one of its files.
func (b *Backup) Open(ctx context.Context, name string) (Reader, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return b.store.Open(ctx, b.prefix()+name)
}

// List returns its files, as they were when the backup was found.
func (b *Backup) List(context.Context) ([]archive.FolderEntry, error) { return b.Files, nil }

// Close does nothing.
func (b *Backup) Close() error { return nil }

func (b *Backup) prefix() string { return prefix(b.Series, b.ID) }

func prefix(series Series, id string) string { return string(series) + "/" + id + "/" }

// checkName holds the name of a file of a backup to what every store takes: flat, and no name of a store's own.
func checkName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") {
		return fmt.Errorf("%q cannot be the name of a backup's file", name)
	}
	return nil
}

// List returns the backups of a series, or of all, by series and time, oldest first. One that is not good is among
// them, with its error.
func (r *Repository) List(ctx context.Context, series Series) ([]*Backup, error) {
	found, err := r.index(ctx, series)
	if err != nil {
		return nil, err
	}
	return r.load(ctx, found.published)
}

// Newest returns the newest good backup of a series whose time has come, but for some IDs, or nil. It reads no manifest of an older one.
func (r *Repository) Newest(ctx context.Context, series Series, but ...string) (*Backup, error) {
	found, err := r.index(ctx, series)
	if err != nil {
		return nil, err
	}
	now := r.opts.Now()
	for _, b := range slices.Backward(found.published) {
		if b.IsFuture(now) || slices.Contains(but, b.ID) {
			continue
		}
		loaded, err := r.load(ctx, []*Backup{b})
		if err != nil {
			return nil, err
		}
		if b := newest(loaded, now); b != nil {
			return b, nil
		}
	}
	return nil, nil
}

// Series returns the series that have a folder, those of databases first, without that of drills.
func (r *Repository) Series(ctx context.Context) ([]Series, error) {
	folders, err := r.store.Folders(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r, err)
	}
	var databases, own []Series
	for _, folder := range folders {
		s, ok := parseSeries(folder)
		switch {
		case s == Drills:
		case ok && s.IsOwn():
			own = append(own, s)
		case ok:
			databases = append(databases, s)
		}
	}
	slices.SortFunc(databases, func(a, b Series) int { return strings.Compare(a.Name(), b.Name()) })
	return append(databases, own...), nil
}

// An index is what the keys in a repository tell.
type index struct {
	published []*Backup // without manifests
	remains   []*Backup // folders without a manifest: backups that were never finished, or are being written or removed
}

// has reports whether an ID was published.
func (in *index) has(id string) bool {
	return slices.ContainsFunc(in.published, func(b *Backup) bool { return b.ID == id })
}

func (r *Repository) index(ctx context.Context, series Series) (*index, error) {
	all := []Series{series}
	if series == "" {
		var err error
		if all, err = r.Series(ctx); err != nil {
			return nil, err
		}
	}
	in := &index{}
	for _, s := range all {
		objects, err := r.store.List(ctx, string(s)+"/")
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", r, err)
		}
		in.add(r.store, s, objects)
	}
	return in, nil
}

// add sorts the objects of a series into folders. What no backup could have written is left alone.
func (in *index) add(store Store, series Series, objects []Object) {
	byID := map[string]*Backup{}
	var ids []string
	for _, o := range objects {
		id, name, _ := strings.Cut(strings.TrimPrefix(o.Key, string(series)+"/"), "/")
		started, err := ParseID(id)
		if err != nil || checkName(name) != nil {
			continue
		}
		b := byID[id]
		if b == nil {
			b = &Backup{Series: series, ID: id, Time: started, store: store}
			byID[id], ids = b, append(ids, id)
		}
		b.Size += o.Size
		b.Files = append(b.Files, archive.FolderEntry{Name: name, Size: o.Size})
	}
	slices.Sort(ids)
	for _, id := range ids {
		b := byID[id]
		slices.SortFunc(b.Files, func(x, y archive.FolderEntry) int { return strings.Compare(x.Name, y.Name) })
		if slices.ContainsFunc(b.Files, func(f archive.FolderEntry) bool { return f.Name == archive.ManifestName }) {
			in.published = append(in.published, b)
		} else {
			in.remains = append(in.remains, b)
		}
	}
}

// loaders is how many manifests are read at once.
const loaders = 8

// load reads manifests. A backup that is removed meanwhile is left out.
func (r *Repository) load(ctx context.Context, backups []*Backup) ([]*Backup, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	gone := make([]bool, len(backups))
	for i, b := range backups {
		group.Go(func() error {
			b.Manifest, b.Err = b.readManifest(ctx)
			gone[i] = errors.Is(b.Err, fs.ErrNotExist)
			if b.Err == nil {
				b.Err = b.checkFolder()
			}
			if b.Err == nil {
				b.Err = archive.CheckSizes(ctx, b, b.Manifest)
			}
			return context.Cause(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var there []*Backup
	for i, b := range backups {
		if !gone[i] {
			there = append(there, b)
		}
	}
	return there, nil
}

// checkFolder holds the name of the folder, from which the backup has its time, against what was published.
func (b *Backup) checkFolder() error {
	id := b.Manifest.Backup.ID
	if id == b.ID || id == "" { // that of an archive which was not made in a repository
		return nil
	}
	text := fmt.Sprintf("its manifest is that of %s/%s: the folder was renamed; give it that name back", b.Series.shown(), human.Name(id))
	return &renamedError{text, &archive.CorruptError{File: archive.ManifestName, Err: errors.New(text)}}
}

// A renamedError is damage to the name of a backup, and not to a file.
type renamedError struct {
	text    string
	corrupt *archive.CorruptError
}

func (e *renamedError) Error() string { return e.text }
func (e *renamedError) Unwrap() error { return e.corrupt }

func (b *Backup) readManifest(ctx context.Context) (*archive.Manifest, error) {
	r, err := b.Open(ctx, archive.ManifestName)
	if err != nil {
		return nil, fmt.Errorf("open the manifest of %s: %w", b, err)
	}
	defer r.Close()
	return archive.DecodeManifest(r)
}
