package backup

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// A LimitError says that a run was ended because of one of its limits.
type LimitError struct {
	Limit time.Duration
	Stall bool // nothing moved for as long; otherwise the whole run took longer
}

func (e *LimitError) Error() string {
	if e.Stall {
		return fmt.Sprintf("nothing moved for %s, so the run was ended", e.Limit)
	}
	return fmt.Sprintf("the run took longer than %s, so it was ended", e.Limit)
}

// Remedy says where to look.
func (e *LimitError) Remedy() string {
	if e.Stall {
		return "pg_stat_activity on the source says what its sessions wait for; look at the network and the repository too, or raise the limit"
	}
	return "more --jobs, a faster repository, or a higher limit"
}

// A pulse says that something moves.
type pulse struct {
	start time.Time
	last  atomic.Int64 // time since start
}

func (p *pulse) beat() { p.last.Store(int64(time.Since(p.start))) }

// watch returns a context that ends when a limit is passed, and a function that ends the watch.
func (l Limits) watch(ctx context.Context) (context.Context, *pulse, func()) {
	p := &pulse{start: time.Now()}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	if l.Stall <= 0 && l.Total <= 0 {
		close(done)
	} else {
		go func() {
			defer close(done)
			l.keep(ctx, p, cancel)
		}()
	}
	return ctx, p, func() {
		cancel(context.Canceled)
		<-done
	}
}

// keep ends the run when a limit is passed.
func (l Limits) keep(ctx context.Context, p *pulse, cancel context.CancelCauseFunc) {
	for {
		passed := time.Since(p.start)
		wait := time.Duration(1<<63 - 1)
		if l.Total > 0 {
			wait = l.Total - passed
			if wait <= 0 {
				cancel(&LimitError{Limit: l.Total})
				return
			}
		}
		if l.Stall > 0 {
			left := l.Stall - (passed - time.Duration(p.last.Load()))
			if left <= 0 {
				cancel(&LimitError{Limit: l.Stall, Stall: true})
				return
			}
			wait = min(wait, left)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// pulseReporter passes events on. Each says that something moves.
type pulseReporter struct {
	progress.Reporter
	pulse *pulse
}

func (r pulseReporter) Report(e progress.Event) {
	r.pulse.beat()
	r.Reporter.Report(e)
}
