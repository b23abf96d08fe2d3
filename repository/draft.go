package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
)

// A Draft is a backup that is being written. It is seen by nobody before it is published. Files may be created by several
// goroutines at once.
type Draft struct {
	Series Series
	ID     string
	Time   time.Time // in the ID

	locked    *Locked
	published bool
}

var (
	_ archive.Folder       = (*Draft)(nil) // of the files that were committed
	_ archive.FolderWriter = (*Draft)(nil)
)

// ErrExists reports that a series has a backup with that ID already.
var ErrExists = errors.New("that backup is there already")

// Begin starts a new backup. What runs that were killed have left of the series is removed first.
func (l *Locked) Begin(ctx context.Context) (*Draft, error) {
	found, err := l.repo.index(ctx, l.series)
	if err != nil {
		return nil, err
	}
	now := l.repo.opts.Now()
	for _, b := range found.published {
		if b.IsFuture(now) {
			l.repo.warn(l.series.shown(), "%s has a time that has not come yet, and is kept until it has: see whether the clocks are right", b)
		}
	}
	id := newID(now, found.published)
	started, err := ParseID(id)
	if err != nil {
		return nil, err
	}
	l.sweepAll(ctx, found)
	return l.draft(id, started), nil
}

// BeginCopy starts a backup that has an ID from elsewhere. It fails with an error that wraps [ErrExists] if the series has a backup with it.
// The first copy under a lock looks at what is there, and removes what runs that were killed have left, for all that follow.
func (l *Locked) BeginCopy(ctx context.Context, id string) (*Draft, error) {
	started, err := ParseID(id)
	if err != nil {
		return nil, err
	}
	if l.found == nil {
		found, err := l.repo.index(ctx, l.series)
		if err != nil {
			return nil, err
		}
		l.sweepAll(ctx, found)
		l.found = found
	}
	if l.found.has(id) {
		return nil, fmt.Errorf("%s/%s: %w", l.series.shown(), id, ErrExists)
	}
	return l.draft(id, started), nil
}

func (l *Locked) draft(id string, started time.Time) *Draft {
	return &Draft{Series: l.series, ID: id, Time: started, locked: l}
}

// sweepAll removes what was never published. That it cannot be removed keeps nothing from being written.
func (l *Locked) sweepAll(ctx context.Context, found *index) {
	if err := l.sweep(ctx, found); err != nil {
		l.repo.warn(l.series.shown(), "what an earlier run has left could not be removed: %v", err)
	}
}

// sweep removes what was never published.
func (l *Locked) sweep(ctx context.Context, found *index) error {
	for _, b := range found.remains {
		if err := l.removeFiles(ctx, b); err != nil {
			return err
		}
	}
	return l.repo.store.Sweep(ctx, string(l.series)+"/")
}

// removeFiles removes the files of a backup, its manifest first and durably.
func (l *Locked) removeFiles(ctx context.Context, b *Backup) error {
	if err := l.err(); err != nil {
		return err
	}
	if err := l.repo.store.Remove(ctx, b.prefix()+archive.ManifestName); err != nil {
		return fmt.Errorf("remove %s: %w", b, err)
	}
	var keys []string
	for _, f := range b.Files {
		if f.Name != archive.ManifestName {
			keys = append(keys, b.prefix()+f.Name)
		}
	}
	err := l.repo.store.Remove(ctx, keys...)
	if err == nil {
		err = l.repo.store.Sweep(ctx, b.prefix())
	}
	if err != nil {
		return fmt.Errorf("remove the files of %s, which is not listed any more: %w", b, err)
	}
	return nil
}

// String is the name the backup will have: DB/ID.
func (d *Draft) String() string { return d.Series.shown() + "/" + d.ID }

func (d *Draft) prefix() string { return prefix(d.Series, d.ID) }

// Create starts a file. size is the number of bytes to expect, or -1.
func (d *Draft) Create(ctx context.Context, name string, size int64) (Writer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if name == archive.ManifestName {
		return nil, fmt.Errorf("%s is published, not created", name)
	}
	if err := d.locked.err(); err != nil {
		return nil, err
	}
	return d.locked.repo.store.Create(ctx, d.prefix()+name, size)
}

// Open opens a file that was committed.
func (d *Draft) Open(ctx context.Context, name string) (Reader, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return d.locked.repo.store.Open(ctx, d.prefix()+name)
}

// List returns the files that were committed, by name.
func (d *Draft) List(ctx context.Context) ([]archive.FolderEntry, error) {
	objects, err := d.locked.repo.store.List(ctx, d.prefix())
	if err != nil {
		return nil, err
	}
	list := make([]archive.FolderEntry, len(objects))
	for i, o := range objects {
		list[i] = archive.FolderEntry{Name: strings.TrimPrefix(o.Key, d.prefix()), Size: o.Size}
	}
	return list, nil
}

// Publish writes the manifest, and with it makes the backup one. All files must have been committed. After an error the
// draft must be given up with Abort.
func (d *Draft) Publish(ctx context.Context, m *archive.Manifest) error {
	if m == nil {
		return fmt.Errorf("publish %s: a backup needs a manifest", d)
	}
	manifest, err := m.Encode()
	if err == nil {
		err = d.publish(ctx, manifest)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", d, err)
	}
	d.published = true
	if found := d.locked.found; found != nil {
		found.published = append(found.published, &Backup{Series: d.Series, ID: d.ID, Time: d.Time})
	}
	return nil
}

// Close does nothing: a draft ends with Publish or Abort.
func (d *Draft) Close() error { return nil }

func (d *Draft) publish(ctx context.Context, manifest []byte) error {
	if err := d.locked.err(); err != nil {
		return err
	}
	w, err := d.locked.repo.store.Create(ctx, d.prefix()+archive.ManifestName, int64(len(manifest)))
	if err != nil {
		return err
	}
	if _, err := w.Write(manifest); err != nil {
		return errors.Join(err, w.Abort())
	}
	// A lock that was lost while the files were written has let somebody sweep them away.
	if err := d.locked.err(); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

// Abort removes what was written, after the run was told to end too. All files must have been committed or aborted. After
// Publish has succeeded it does nothing.
func (d *Draft) Abort() error {
	if d.published {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.locked.ctx), abortTimeout)
	defer cancel()
	if err := d.abort(ctx); err != nil {
		return fmt.Errorf("remove the unfinished %s: %w", d, err)
	}
	return nil
}

func (d *Draft) abort(ctx context.Context) error {
	store := d.locked.repo.store
	// It may have come there although Publish failed.
	if err := store.Remove(ctx, d.prefix()+archive.ManifestName); err != nil {
		return err
	}
	objects, err := store.List(ctx, d.prefix())
	if err != nil {
		return err
	}
	keys := make([]string, len(objects))
	for i, o := range objects {
		keys[i] = o.Key
	}
	if err := store.Remove(ctx, keys...); err != nil {
		return err
	}
	return store.Sweep(ctx, d.prefix())
}

// abortTimeout bounds how long a run that has failed tidies up.
const abortTimeout = 2 * time.Minute
