package repository

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The words that stand for an ID.
const (
	Latest = "latest"
	Oldest = "oldest"
)

// Find returns the backup that a reference means: an ID or the beginning of one, latest or oldest, with a database's name and a
// slash before it if need be. Without one, latest and oldest mean something only where there are backups of one database.
// A backup with a time that has not come yet is the latest only if there is no other, and warned of. The backup need not be good. Errors wrap [ErrNotFound], or are an [*AmbiguousError]; they do not repeat the reference.
func (r *Repository) Find(ctx context.Context, ref string) (*Backup, error) {
	series, id, err := r.parseRef(ctx, ref)
	if err != nil {
		return nil, err
	}
	found, err := r.index(ctx, series)
	if err != nil {
		return nil, err
	}
	b, err := r.choose(found.published, id)
	if err != nil {
		return nil, err
	}
	loaded, err := r.load(ctx, []*Backup{b})
	if err != nil {
		return nil, err
	}
	if len(loaded) == 0 {
		return nil, notFound(b.String() + " was removed just now")
	}
	return loaded[0], nil
}

// parseRef splits a reference at its last slash. The names of databases may have slashes, IDs have none.
func (r *Repository) parseRef(ctx context.Context, ref string) (Series, string, error) {
	slash := strings.LastIndexByte(ref, '/')
	if slash < 0 {
		return "", ref, nil
	}
	series, err := r.FindSeries(ctx, ref[:slash])
	return series, ref[slash+1:], err
}

// FindSeries returns the series that a word means: one of pgberth's own, the name of a database, or that of a folder.
func (r *Repository) FindSeries(ctx context.Context, word string) (Series, error) {
	all, err := r.Series(ctx)
	if err != nil {
		return "", err
	}
	if word == string(Drills) {
		return Drills, nil
	}
	folder := Series(word)
	if folder.IsOwn() && slices.Contains(all, folder) {
		return folder, nil
	}
	for _, s := range all {
		if s.Name() == word {
			return s, nil
		}
	}
	if slices.Contains(all, folder) {
		return folder, nil
	}
	if len(all) == 0 {
		return "", notFound(fmt.Sprintf("%s has no backups", r))
	}
	return "", notFound(fmt.Sprintf("%s has no backups of that database, only of %s", r, names(all)))
}

func (r *Repository) choose(published []*Backup, id string) (*Backup, error) {
	if id != Latest && id != Oldest {
		return r.chooseID(published, id)
	}
	databases := slices.DeleteFunc(slices.Clone(published), func(b *Backup) bool { return b.Series.IsOwn() })
	if len(databases) == 0 {
		databases = published // of @globals/latest
	}
	var series []Series
	for _, b := range databases {
		if !slices.Contains(series, b.Series) {
			series = append(series, b.Series)
		}
	}
	switch {
	case len(databases) == 0:
		return nil, notFound(fmt.Sprintf("%s has no backups", r))
	case len(series) > 1:
		e := &AmbiguousError{Text: "there is a " + id + " one of several databases"}
		for _, s := range series {
			e.Candidates = append(e.Candidates, s.shown()+"/"+id)
		}
		return nil, e
	case id == Oldest:
		return databases[0], nil
	}
	return r.latest(databases), nil
}

// latest is the last of some backups, oldest first, whose time has come, or the last of all. Either may not be the one that was made last.
func (r *Repository) latest(backups []*Backup) *Backup {
	now, last := r.opts.Now(), backups[len(backups)-1]
	if !last.IsFuture(now) {
		return last
	}
	for _, b := range slices.Backward(backups) {
		if !b.IsFuture(now) {
			r.warn(last.Series.shown(), "%s has a time that has not come yet, so the latest is taken to be %s: see whether the clocks are right", last, b)
			return b
		}
	}
	r.warn(last.Series.shown(), "the latest, %s, has a time that has not come yet, and so have all others: see whether the clocks are right", last)
	return last
}

func (r *Repository) chooseID(published []*Backup, id string) (*Backup, error) {
	var matches []*Backup
	for _, b := range published {
		if id != "" && strings.HasPrefix(b.ID, id) {
			matches = append(matches, b)
		}
	}
	switch len(matches) {
	case 0:
		return nil, notFound(fmt.Sprintf("%s has no such backup", r))
	case 1:
		return matches[0], nil
	}
	e := &AmbiguousError{Text: fmt.Sprintf("the IDs of %d begin so", len(matches))}
	for _, b := range matches {
		e.Candidates = append(e.Candidates, b.String())
	}
	return nil, e
}

// An AmbiguousError reports a reference that more than one backup answers to.
type AmbiguousError struct {
	Text       string
	Candidates []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("which backup? %s: %s", e.Text, strings.Join(e.Candidates, ", "))
}

func names(series []Series) string {
	list := make([]string, len(series))
	for i, s := range series {
		list[i] = s.shown()
	}
	return strings.Join(list, ", ")
}
