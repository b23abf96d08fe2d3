package repository

import (
	"context"
	"fmt"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

// CheckOptions say what the newest backup of every series must be.
type CheckOptions struct {
	Series  []Series      // that must have backups; none is all that have a folder
	MaxAge  time.Duration // since the newest was started; 0 is any
	MinSize int64         // of all its files, in bytes; that of globals may be less
}

// A Status is how the backups of one series are.
type Status struct {
	Series   Series
	Newest   *Backup // the newest good one whose time has come; nil if there is none
	Age      time.Duration
	Problems []string // the newest is missing, too old or too small
	Warnings []string // backups that are not good, or have a time that has not come yet
}

// OK reports whether nothing is wrong.
func (s *Status) OK() bool { return len(s.Problems)+len(s.Warnings) == 0 }

// Check looks at the newest good backup of every series, without reading more than manifests.
func (r *Repository) Check(ctx context.Context, o CheckOptions) ([]*Status, error) {
	series := o.Series
	if len(series) == 0 {
		var err error
		if series, err = r.Series(ctx); err != nil {
			return nil, err
		}
	}
	var statuses []*Status
	for _, s := range series {
		found, err := r.index(ctx, s)
		if err != nil {
			return nil, err
		}
		if len(o.Series) == 0 && len(found.published)+len(found.remains) == 0 {
			continue // not a folder of backups
		}
		backups, err := r.load(ctx, found.published)
		if err != nil {
			return nil, err
		}
		statuses = append(statuses, status(s, backups, r.opts.Now(), o))
	}
	return statuses, nil
}

// status looks at the backups of a series, the oldest of which come first.
func status(s Series, backups []*Backup, now time.Time, o CheckOptions) *Status {
	st := &Status{Series: s, Newest: newest(backups, now)}
	for _, b := range backups {
		switch {
		case !b.Good():
			st.Warnings = append(st.Warnings, fmt.Sprintf("%s is not a good backup: %v", b, b.Err))
		case b.IsFuture(now):
			st.Warnings = append(st.Warnings, fmt.Sprintf("%s has a time that has not come yet: see whether the clocks are right", b))
		}
	}
	problem := func(format string, args ...any) { st.Problems = append(st.Problems, fmt.Sprintf(format, args...)) }
	if st.Newest == nil {
		problem("there is no good backup of %s", s.shown())
		return st
	}
	st.Age = max(0, now.Sub(st.Newest.Time))
	if o.MaxAge > 0 && st.Age > o.MaxAge {
		problem("the newest good backup, %s, is %s old; %s are allowed", st.Newest, human.Duration(st.Age), human.Duration(o.MaxAge))
	}
	if !s.IsOwn() && st.Newest.Size < o.MinSize {
		problem("the newest good backup, %s, has %d bytes; %d are wanted", st.Newest, st.Newest.Size, o.MinSize)
	}
	return st
}
