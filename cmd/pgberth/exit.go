package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/repository"
	"github.com/pgberth/pgberth/restore"
)

// The exit statuses. 2 is left to the Go runtime, which ends a crash with it.
const (
	exitDone        = 0
	exitFailed      = 1
	exitPartly      = 3
	exitNotFound    = 10
	exitLocked      = 11
	exitWrongKey    = 12
	exitDiffers     = 20
	exitDrillFailed = 21
	exitDrillNotRun = 22
	exitUsage       = 64
	exitInterrupted = 130
)

// exitStatuses is the table that help shows.
var exitStatuses = []struct {
	code    int
	meaning string
}{
	{exitDone, "done"},
	{exitFailed, "failed"},
	{exitPartly, "partly done: the messages say what was left out"},
	{exitNotFound, "container, archive, repository or backup not found"},
	{exitLocked, "locked by another run"},
	{exitWrongKey, "wrong key"},
	{exitDiffers, "the databases differ, or the archive is damaged"},
	{exitDrillFailed, "a drill rejected the backup"},
	{exitDrillNotRun, "a drill could not be run"},
	{exitUsage, "usage: a flag, an argument or an endpoint is wrong"},
	{exitInterrupted, "interrupted"},
}

func exitTable() string {
	var b strings.Builder
	b.WriteString("Exit status:\n")
	for _, s := range exitStatuses {
		fmt.Fprintf(&b, "  %-4d %s\n", s.code, s.meaning)
	}
	return b.String()
}

// exitCode is the one place where errors become exit statuses.
func exitCode(ctx context.Context, err error) int {
	var (
		misuse    *usageError
		partial   *restore.PartialError
		ambiguous *repository.AmbiguousError
		locked    *repository.LockedError
		reported  *reportedError
		night     *nightlyError
		wrong     *config.Error
		noKey     *archive.KeyError
		nowhere   *repository.LocationError
		drilled   *drillError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &night):
		return int(night.status)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &reported):
		return reported.code
	case errors.As(err, &misuse), errors.As(err, &ambiguous), errors.As(err, &wrong), errors.As(err, &nowhere):
		return exitUsage
	case errors.Is(err, containerpg.ErrNotFound), errors.Is(err, errNoArchive), errors.Is(err, repository.ErrNotFound):
		return exitNotFound
	case errors.Is(err, restore.ErrLocked), errors.Is(err, dump.ErrLocked), errors.As(err, &locked):
		return exitLocked
	case errors.As(err, &noKey):
		return exitWrongKey
	case errors.Is(err, errDiffers), isDamage(err):
		return exitDiffers
	case errors.As(err, &partial):
		return exitPartly
	case errors.As(err, &drilled):
		return drilled.status
	}
	return exitFailed
}

// A reportedError makes an exit status, and nothing more is to be said.
type reportedError struct{ code int }

func (e *reportedError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// isReported reports whether the user was told of an error.
func isReported(err error) bool {
	var reported *reportedError
	return errors.Is(err, errDiffers) || errors.As(err, &reported)
}

// isDamage reports whether an archive is not what it must be. One that claims
// to be of an unknown version counts: a single bit makes it say so.
func isDamage(err error) bool {
	var (
		corrupt *archive.CorruptError
		version *archive.VersionError
	)
	return errors.As(err, &corrupt) || errors.As(err, &version) || errors.Is(err, archive.ErrNotArchive) || errors.Is(err, archive.ErrNewerManifest)
}
