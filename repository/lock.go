package repository

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// ErrLockLost reports that a lock was lost while it was needed.
var ErrLockLost = errors.New("the lock of the repository was lost to another run, or could not be renewed")

// Locked is a series that this process alone may change, until it is released. Its methods are for one goroutine.
type Locked struct {
	repo   *Repository
	series Series
	lock   Lock
	found  *index // what is published, if copies have asked

	ctx     context.Context // as Lock returned it; only asked whether it has ended
	cancel  context.CancelCauseFunc
	watched chan struct{}
}

// Lock takes the lock of a series, and waits for it as long as the options say. A lock that is held to the end of that gives a
// [*LockedError]. The context that is returned ends with [ErrLockLost] as its cause if the lock is lost.
func (r *Repository) Lock(ctx context.Context, series Series) (*Locked, context.Context, error) {
	if _, ok := parseSeries(string(series)); !ok {
		return nil, nil, fmt.Errorf("%q is no series of backups", series)
	}
	lock, err := r.acquire(ctx, string(series))
	if err != nil {
		return nil, nil, err
	}
	held, cancel := context.WithCancelCause(ctx)
	l := &Locked{repo: r, series: series, lock: lock, ctx: held, cancel: cancel, watched: make(chan struct{})}
	go func() {
		defer close(l.watched)
		select {
		case <-lock.Lost():
			cancel(ErrLockLost)
		case <-held.Done():
		}
	}()
	return l, held, nil
}

// acquire tries until it has the lock, or has waited long enough.
func (r *Repository) acquire(ctx context.Context, name string) (Lock, error) {
	enough := time.NewTimer(r.opts.LockWait)
	defer enough.Stop()
	owner := r.owner()
	for told := false; ; {
		lock, err := r.store.Lock(ctx, name, owner)
		var locked *LockedError
		switch {
		case err != nil && !errors.As(err, &locked):
			return nil, fmt.Errorf("lock %s in %s: %w", Series(name).shown(), r, err)
		case err == nil || r.opts.LockWait <= 0:
			return lock, err
		case !told:
			told = true
			r.opts.Reporter.Report(progress.Notice{Text: "waiting: " + locked.Error()})
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-enough.C:
			return nil, err
		case <-time.After(lockPause/2 + rand.N(lockPause)):
		}
	}
}

// lockPause is how long to wait, on average, before a lock is tried again.
const lockPause = 500 * time.Millisecond

// err says why nothing may be changed any more.
func (l *Locked) err() error { return context.Cause(l.ctx) }

// Release gives the lock back.
func (l *Locked) Release() error {
	l.cancel(context.Canceled)
	<-l.watched
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), releaseTimeout)
	defer cancel()
	if err := l.lock.Release(ctx); err != nil {
		return fmt.Errorf("release the lock of %s in %s: %w", l.series.shown(), l.repo, err)
	}
	return nil
}

// releaseTimeout bounds what is still done after a run was told to end.
const releaseTimeout = 30 * time.Second

// bootID tells one start of this host from another, where it can be known.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
