package nightly

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/repository"
)

// CheckOptions say what the newest backups of a job must be.
type CheckOptions struct {
	MaxAge  time.Duration
	MinSize int64
	// More adds what else is wrong; nil is nothing.
	More func(context.Context, *repository.Repository, []*repository.Status) error
}

// Check looks at the newest backup of everything that a job is known to back up: what it names, and what its repository has and its patterns
// match. It does not ask the server: that it is gone may be the very reason to look.
func Check(ctx context.Context, opts Options, job *config.Job, o CheckOptions) (_ []*repository.Status, err error) {
	if job.Undiscovered != nil {
		return nil, job.Undiscovered
	}
	opts.complete()
	repo, err := opts.repository(ctx, job, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	there, err := repo.Series(ctx)
	if err != nil {
		return nil, err
	}
	series := expected(job, there)
	var statuses []*repository.Status
	if !slices.ContainsFunc(series, func(s repository.Series) bool { return !s.IsOwn() }) {
		statuses = append(statuses, &repository.Status{Series: repository.Database("*"), Problems: []string{"there is no backup of any database"}})
	}
	if len(series) == 0 {
		return statuses, nil
	}
	found, err := repo.Check(ctx, repository.CheckOptions{Series: series, MaxAge: o.MaxAge, MinSize: o.MinSize})
	if err == nil && o.More != nil {
		err = o.More(ctx, repo, found)
	}
	return append(statuses, found...), err
}

// expected are the series that must have backups.
func expected(job *config.Job, there []repository.Series) []repository.Series {
	var series []repository.Series
	for _, pattern := range job.Databases {
		if !strings.ContainsAny(pattern, "*?") {
			series = append(series, repository.Database(pattern))
		}
	}
	for _, s := range there {
		if !s.IsOwn() && (len(job.Databases) == 0 || slices.ContainsFunc(job.Databases, func(p string) bool { return matches(p, s.Name()) })) {
			series = append(series, s)
		}
	}
	if job.Globals.Wanted() {
		series = append(series, repository.Globals)
	}
	slices.Sort(series)
	return slices.DeleteFunc(slices.Compact(series), func(s repository.Series) bool {
		return !s.IsOwn() && slices.ContainsFunc(job.Exclude, func(p string) bool { return matches(p, s.Name()) })
	})
}
