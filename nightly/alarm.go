package nightly

import (
	"context"
	"time"

	"github.com/pgberth/pgberth/internal/ping"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
)

// An alarm is a check of a monitor during a run. Without a URL it does nothing.
type alarm struct {
	opts  *Options
	check ping.Check
	job   string // or "", of the whole run

	cancel context.CancelFunc
	begun  chan struct{} // closed when the ping at the start is over
}

func newAlarm(opts *Options, p config.Ping, job string) *alarm {
	check := opts.Ping
	check.URL, check.ExitStatus = p.URL.Reveal(), p.ExitStatus
	return &alarm{opts: opts, check: check, job: job}
}

// start pings in the background: a monitor that does not answer delays no backup.
func (a *alarm) start(ctx context.Context) {
	if a.check.URL == "" {
		return
	}
	ctx, a.cancel = context.WithCancel(ctx)
	a.begun = make(chan struct{})
	go func() {
		defer close(a.begun)
		if err := a.check.Start(ctx); err != nil && ctx.Err() == nil {
			a.undelivered(err)
		}
	}()
}

// What is told of a run is bounded, and more so if it was interrupted.
const (
	tellTimeout = 10 * time.Minute
	endTimeout  = 20 * time.Second
)

// lasting returns the context for what is told of a run, also when ctx has ended with it.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		return context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	}
	return context.WithTimeout(ctx, tellTimeout)
}

// end pings how a run has ended, after ctx has ended too.
func (a *alarm) end(ctx context.Context, status Status, body string) {
	if a.check.URL == "" {
		return
	}
	if a.begun != nil {
		a.cancel() // were it heard now, it would say that another run begins
		<-a.begun
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := a.check.End(ctx, int(status), body); err != nil {
		a.undelivered(err)
	}
}

// undelivered reports a ping that nobody heard. It fails no backup: the monitor's own alarm is that it heard nothing.
func (a *alarm) undelivered(err error) {
	a.opts.Reporter.Report(progress.Warning{Object: a.job, Text: "a ping was not delivered: " + err.Error()})
}
