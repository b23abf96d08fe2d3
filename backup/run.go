package backup

import (
	"context"
	"errors"
	"time"

	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/repository"
)

// Run makes a backup of a database. It is listed in the repository when it is whole and was read back, and not before; after
// an error nothing of it is left. Errors may be a [*LimitError] or a [*repository.LockedError].
func Run(ctx context.Context, opts Options) (*Result, error) {
	start := time.Now()
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	series := repository.Database(opts.Dump.From.Database())
	result, err := opts.run(ctx, series, func(ctx context.Context, w *work) error {
		opts.Dump.Folder, opts.Dump.Backup, opts.Dump.Reporter = w.folder, w.mark, w.reporter
		dumped, err := dump.Run(ctx, opts.Dump)
		w.result.Dump = dumped
		return err
	})
	if err != nil {
		return nil, err
	}
	result.Elapsed = time.Since(start)
	return result, nil
}

// run makes a backup of a series: write fills it, and publishes it.
func (o *Options) run(ctx context.Context, series repository.Series, write func(context.Context, *work) error) (_ *Result, err error) {
	ctx, pulse, stop := o.Limits.watch(ctx)
	defer stop()
	locked, ctx, err := o.Repository.Lock(ctx, series)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, locked.Release()) }()
	pulse.beat()
	previous, err := o.Repository.Newest(ctx, series)
	if err != nil {
		return nil, err
	}
	draft, err := locked.Begin(ctx)
	if err != nil {
		return nil, err
	}
	reporter := pulseReporter{o.Dump.Reporter, pulse}
	sink, folder, err := newSink(draft, o.Recipients, o.Check, pulse, reporter)
	if err != nil {
		return nil, errors.Join(err, draft.Abort())
	}
	w := &work{folder: folder, mark: mark(draft, o.Tags), reporter: reporter,
		result: &Result{Repository: o.Repository.String(), Series: series.Name(), ID: draft.ID, Tags: o.Tags, Checked: o.Check}}
	if err := write(ctx, w); err != nil {
		return nil, errors.Join(ended(ctx, err), draft.Abort())
	}
	w.complete(ctx, sink, previous, o)
	return w.result, nil
}

// ended gives the end of a run as the reason of an error that followed from it.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return errors.Join(cause, err)
	}
	return err
}
