package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// CopyOptions are what a copy is to do.
type CopyOptions struct {
	From, To *repository.Repository
	// Backups of From. Nil is all that are good.
	Backups  []*repository.Backup
	Reporter progress.Reporter
}

// CopyResult is what a copy did.
type CopyResult struct {
	From    string        `json:"from"`
	To      string        `json:"to"`
	Copied  []string      `json:"copied"`  // DB/ID
	Present []string      `json:"present"` // were there already
	Bytes   int64         `json:"bytes"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// A DamageError reports backups that were not copied because they are damaged. The others were.
type DamageError struct{ Damaged []error }

func (e *DamageError) Error() string   { return errors.Join(e.Damaged...).Error() }
func (e *DamageError) Unwrap() []error { return e.Damaged }

// Copy copies the backups that the other repository does not have, with their IDs, and as they are stored: what is encrypted
// stays so, and no key is needed. What is read is held against its checksums. A backup that is found damaged is not
// copied, and reported by a [*DamageError] when the others were; with any other error the result says what was copied.
func Copy(ctx context.Context, o CopyOptions) (*CopyResult, error) {
	start := time.Now()
	if o.Reporter == nil {
		o.Reporter = progress.Discard
	}
	c := &copier{CopyOptions: o, result: &CopyResult{From: o.From.String(), To: o.To.String(), Copied: []string{}, Present: []string{}}}
	backups := o.Backups
	if backups == nil {
		var err error
		if backups, err = o.From.List(ctx, ""); err != nil {
			return c.result, err
		}
	}
	var bySeries [][]*repository.Backup
	for _, b := range backups {
		if n := len(bySeries); n > 0 && bySeries[n-1][0].Series == b.Series {
			bySeries[n-1] = append(bySeries[n-1], b)
		} else {
			bySeries = append(bySeries, []*repository.Backup{b})
		}
	}
	for _, list := range bySeries {
		if err := c.series(ctx, list); err != nil {
			return c.result, err
		}
	}
	c.result.Elapsed = time.Since(start)
	if len(c.damaged) > 0 {
		return c.result, &DamageError{c.damaged}
	}
	return c.result, nil
}

type copier struct {
	CopyOptions
	result  *CopyResult
	damaged []error
}

// series copies backups of one series.
func (c *copier) series(ctx context.Context, backups []*repository.Backup) (err error) {
	there, err := c.To.List(ctx, backups[0].Series)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, b := range there {
		has[b.ID] = true
		if !b.Good() {
			c.Reporter.Report(progress.Warning{Object: b.String(), Text: fmt.Sprintf("is damaged in %s: %v", c.To, b.Err),
				Remedy: "remove it there with pgberth forget, and copy again"})
		}
	}
	var missing []*repository.Backup
	for _, b := range backups {
		switch {
		case has[b.ID]:
			c.result.Present = append(c.result.Present, b.Ref())
		case !b.Good():
			c.damaged = append(c.damaged, fmt.Errorf("%s: %w", b, b.Err))
		default:
			missing = append(missing, b)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	locked, ctx, err := c.To.Lock(ctx, missing[0].Series)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, locked.Release()) }()
	for _, b := range missing {
		var corrupt *archive.CorruptError
		switch err := c.copy(ctx, locked, b); {
		case errors.Is(err, repository.ErrExists): // made since
			c.result.Present = append(c.result.Present, b.Ref())
		case errors.As(err, &corrupt):
			c.damaged = append(c.damaged, err)
		case err != nil:
			return ended(ctx, err)
		default:
			c.result.Copied = append(c.result.Copied, b.Ref())
			c.result.Bytes += b.Manifest.Size()
		}
	}
	return nil
}

func (c *copier) copy(ctx context.Context, locked *repository.Locked, b *repository.Backup) error {
	start := time.Now()
	c.Reporter.Report(progress.PhaseStart{Phase: progress.Copy, Units: len(b.Manifest.Files), Bytes: b.Manifest.Size()})
	draft, err := locked.BeginCopy(ctx, b.ID)
	if err != nil {
		return err
	}
	to := &copied{draft, c.Reporter}
	if err := archive.CopyFiles(ctx, b, b.Manifest, to); err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", b, err), draft.Abort())
	}
	c.Reporter.Report(progress.PhaseEnd{Phase: progress.Copy, Units: len(b.Manifest.Files), Bytes: b.Manifest.Size(), Elapsed: time.Since(start)})
	return nil
}

// copied takes the files of a copy, and tells of their progress.
type copied struct {
	*repository.Draft
	reporter progress.Reporter
}

var _ archive.FolderWriter = (*copied)(nil)

func (c *copied) Create(ctx context.Context, name string, size int64) (archive.FileWriter, error) {
	w, err := c.Draft.Create(ctx, name, size)
	if err != nil {
		return nil, err
	}
	return &copiedFile{FileWriter: w, reporter: c.reporter, name: c.String() + "/" + name}, nil
}

// Publish publishes the copy if its files have arrived whole.
func (c *copied) Publish(ctx context.Context, m *archive.Manifest) error {
	if err := archive.CheckSizes(ctx, c.Draft, m); err != nil {
		return fmt.Errorf("%s has not arrived whole: %s", c.Draft, err) // which is no damage of the original
	}
	return c.Draft.Publish(ctx, m)
}

type copiedFile struct {
	archive.FileWriter
	reporter progress.Reporter
	name     string
}

func (f *copiedFile) Write(p []byte) (int, error) {
	n, err := f.FileWriter.Write(p)
	f.reporter.Report(progress.UnitBytes{Phase: progress.Copy, Object: f.name, N: int64(n)})
	return n, err
}
