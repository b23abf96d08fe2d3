package repository

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// ErrNotFound reports a repository or a backup that is not there.
var ErrNotFound = errors.New("not found")

// notFound is an ErrNotFound that says more.
type notFound string

func (e notFound) Error() string        { return string(e) }
func (e notFound) Is(target error) bool { return target == ErrNotFound }

// A LocationError reports what cannot be the location of a repository. It does not repeat it: it may be a connection string.
type LocationError struct{ Text string }

func (e *LocationError) Error() string { return e.Text }

// Options are how a repository is used. The zero value is usable.
type Options struct {
	// Create makes the directory of a repository that is not there yet.
	Create bool
	// Command is who takes locks, such as "pgberth dump".
	Command string
	// LockWait is how long to wait for a lock that another run holds.
	LockWait time.Duration
	// S3 says how a bucket is reached.
	S3       S3Options
	Reporter progress.Reporter
	Now      func() time.Time // nil is time.Now
}

// A Repository keeps backups in a store. Its methods may be called by several goroutines at once.
type Repository struct {
	store Store
	opts  Options
}

// Open opens the repository at a location: the path of a directory, or s3://BUCKET/PREFIX. A directory that is not
// there gives an error that wraps [ErrNotFound], unless it is to be made.
func Open(ctx context.Context, location string, opts Options) (*Repository, error) {
	store, err := openStore(ctx, location, opts)
	if err != nil {
		return nil, err
	}
	return New(store, opts), nil
}

func openStore(ctx context.Context, location string, opts Options) (Store, error) {
	switch scheme, _, isURL := strings.Cut(location, "://"); {
	case location == "":
		return nil, &LocationError{"no repository is named"}
	case scheme == "s3" || strings.HasPrefix(location, "s3:"): // with a slash too few it is no directory either
		return openS3(ctx, location, opts.S3)
	case isURL:
		return nil, &LocationError{"a repository is the path of a directory, or s3://BUCKET/PREFIX"}
	}
	return openLocal(location, opts.Create)
}

// New returns the repository in a store, which it closes.
func New(store Store, opts Options) *Repository {
	if opts.Reporter == nil {
		opts.Reporter = progress.Discard
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Command == "" {
		opts.Command = "pgberth"
	}
	return &Repository{store: store, opts: opts}
}

// String names the repository for messages.
func (r *Repository) String() string { return r.store.String() }

// Close closes the store.
func (r *Repository) Close() error { return r.store.Close() }

// owner is this process.
func (r *Repository) owner() Owner {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return Owner{Host: host, PID: os.Getpid(), Boot: bootID(), Command: r.opts.Command, Started: r.opts.Now().UTC()}
}

func (r *Repository) warn(object, format string, args ...any) {
	r.opts.Reporter.Report(progress.Warning{Object: object, Text: fmt.Sprintf(format, args...)})
}
