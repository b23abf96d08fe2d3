package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ForgetOptions say which backups are to go: those that a policy does not keep, or those that are named.
type ForgetOptions struct {
	Policy Policy
	Series []Series // that the policy is applied to, each for itself; none is all
	Named  []string // references as [Repository.Find] takes them, instead of a policy

	Prune  bool // remove also what was never published
	DryRun bool // only say what would be done
}

// Forgotten is what was removed of a series, or would be in a dry run.
type Forgotten struct {
	Series    Series
	Decisions []Decision // about its backups, oldest first; one that is not kept has been removed if Removed says so
	Removed   []*Backup
	Pruned    []*Backup // what was never published
}

// Freed is the number of bytes that were removed.
func (f *Forgotten) Freed() int64 {
	var n int64
	for _, b := range slices.Concat(f.Removed, f.Pruned) {
		n += b.Size
	}
	return n
}

// ErrNoPolicy reports a policy without a rule, which would keep everything.
var ErrNoPolicy = errors.New("the policy has no rule, so nothing is removed")

// NewestError reports a backup that was to be removed by name although it is the newest good one of its series.
type NewestError struct {
	Backup *Backup
	Future bool // its time has not come yet, and that of no good one has
}

func (e *NewestError) Error() string {
	if e.Future {
		return fmt.Sprintf("%s has a time that has not come yet, and %s has no good backup whose time has: the last one is never removed; make one by a clock that is right, then forget this one",
			e.Backup, e.Backup.Series.shown())
	}
	return fmt.Sprintf("%s is the newest good backup of %s, which is never removed; if the database is not needed any more, remove the folder %s yourself",
		e.Backup, e.Backup.Series.shown(), e.Backup.Series)
}

// Forget removes backups. A series that another run has locked is passed over, and its [*LockedError] comes at the end, joined with what else failed. What
// was removed before is returned with the error.
func (r *Repository) Forget(ctx context.Context, o ForgetOptions) ([]*Forgotten, error) {
	if len(o.Named) > 0 {
		return r.forgetNamed(ctx, o)
	}
	if o.Policy.IsEmpty() {
		return nil, ErrNoPolicy
	}
	return r.each(ctx, o.Series, func(s Series) (*Forgotten, error) {
		return r.forget(ctx, s, o, func(backups []*Backup) ([]Decision, error) {
			return o.Policy.Apply(backups, r.opts.Now()), nil
		})
	})
}

// forgetNamed finds all backups that are named before the first is removed.
func (r *Repository) forgetNamed(ctx context.Context, o ForgetOptions) ([]*Forgotten, error) {
	ids := map[Series][]string{}
	for _, ref := range o.Named {
		b, err := r.Find(ctx, ref)
		if err != nil {
			return nil, err
		}
		ids[b.Series] = append(ids[b.Series], b.ID)
	}
	var series []Series
	for s, named := range ids {
		backups, err := r.List(ctx, s)
		if err != nil {
			return nil, err
		}
		if _, err := allBut(backups, named, r.opts.Now()); err != nil {
			return nil, err
		}
		series = append(series, s)
	}
	slices.Sort(series)
	return r.each(ctx, series, func(s Series) (*Forgotten, error) {
		return r.forget(ctx, s, o, func(backups []*Backup) ([]Decision, error) { return allBut(backups, ids[s], r.opts.Now()) })
	})
}

// allBut keeps all backups but those that are named, of which none may be the newest good one. One with a time that has not come yet is
// that only if there is no other: how old it is cannot be known.
func allBut(backups []*Backup, ids []string, now time.Time) ([]Decision, error) {
	protected := newest(backups, now)
	decisions := make([]Decision, len(backups))
	for i, b := range slices.Backward(backups) {
		if protected == nil && b.Good() {
			protected = b
		}
		named := slices.Contains(ids, b.ID)
		if named && b == protected {
			return nil, &NewestError{b, b.IsFuture(now)}
		}
		decisions[i].Backup = b
		if !named {
			decisions[i].keep("not named")
		}
	}
	return decisions, nil
}

// each does something with every series, or all if there are none.
func (r *Repository) each(ctx context.Context, series []Series, do func(Series) (*Forgotten, error)) ([]*Forgotten, error) {
	if len(series) == 0 {
		var err error
		if series, err = r.Series(ctx); err != nil {
			return nil, err
		}
	}
	var done []*Forgotten
	var held []error
	for _, s := range series {
		f, err := do(s)
		if f != nil {
			done = append(done, f)
		}
		var locked *LockedError
		if errors.As(err, &locked) {
			held = append(held, err)
		} else if err != nil {
			return done, errors.Join(append(held, err)...)
		}
	}
	return done, errors.Join(held...)
}

// A decider says which backups of a series to keep. Without one none is looked at.
type decider func(backups []*Backup) ([]Decision, error)

func (r *Repository) forget(ctx context.Context, s Series, o ForgetOptions, decide decider) (_ *Forgotten, err error) {
	if o.DryRun {
		return r.plan(ctx, s, o.Prune, decide)
	}
	l, ctx, err := r.Lock(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Release()) }()
	return l.forget(ctx, o.Prune, decide)
}

// plan is what forget would do.
func (r *Repository) plan(ctx context.Context, s Series, prune bool, decide decider) (*Forgotten, error) {
	f, found, err := r.decide(ctx, s, decide)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decisions {
		if !d.Keep {
			f.Removed = append(f.Removed, d.Backup)
		}
	}
	if !prune || len(found.remains) == 0 {
		return f, nil
	}
	held, err := r.store.Locks(ctx)
	if err != nil {
		return f, fmt.Errorf("list the locks of %s: %w", r, err)
	}
	if i := slices.IndexFunc(held, func(h Held) bool { return h.Name == string(s) }); i >= 0 {
		return f, &LockedError{held[i]} // a backup is being written
	}
	f.Pruned = found.remains
	return f, nil
}

func (r *Repository) decide(ctx context.Context, s Series, decide decider) (*Forgotten, *index, error) {
	found, err := r.index(ctx, s)
	if err != nil || decide == nil {
		return &Forgotten{Series: s}, found, err
	}
	backups, err := r.load(ctx, found.published)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range backups {
		if !b.Good() && !b.isDamaged() {
			return nil, nil, fmt.Errorf("nothing is removed: %w", b.Err)
		}
	}
	decisions, err := decide(backups)
	if err != nil {
		return nil, nil, err
	}
	return &Forgotten{Series: s, Decisions: decisions}, found, nil
}

func (l *Locked) forget(ctx context.Context, prune bool, decide decider) (*Forgotten, error) {
	f, found, err := l.repo.decide(ctx, l.series, decide)
	if err != nil {
		return nil, err
	}
	l.found = nil
	for _, d := range f.Decisions {
		if d.Keep {
			continue
		}
		if err := l.removeFiles(ctx, d.Backup); err != nil {
			return f, err
		}
		f.Removed = append(f.Removed, d.Backup)
	}
	if !prune {
		return f, nil
	}
	if err := l.sweep(ctx, found); err != nil {
		return f, err
	}
	f.Pruned = found.remains
	return f, nil
}

// Prune removes what was never published, of some series or of all: what runs that were killed have left. Locked series are treated as
// [Repository.Forget] does.
func (r *Repository) Prune(ctx context.Context, series []Series, dryRun bool) ([]*Forgotten, error) {
	return r.each(ctx, series, func(s Series) (*Forgotten, error) {
		return r.forget(ctx, s, ForgetOptions{Prune: true, DryRun: dryRun}, nil)
	})
}

// Unlock removes the locks of some series or of all, and returns them. It is for the locks of owners that are dead and cannot be known to be.
func (r *Repository) Unlock(ctx context.Context, series []Series) ([]Held, error) {
	held, err := r.store.Locks(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the locks of %s: %w", r, err)
	}
	var removed []Held
	for _, h := range held {
		if len(series) > 0 && !slices.Contains(series, Series(h.Name)) {
			continue
		}
		if err := r.store.Unlock(ctx, h.Name); err != nil {
			return removed, err
		}
		removed = append(removed, h)
	}
	return removed, nil
}
