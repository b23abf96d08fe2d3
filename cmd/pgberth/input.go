package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
	"github.com/pgberth/pgberth/restore"
)

// errNoArchive makes the exit status of a path where nothing is.
var errNoArchive = errors.New("there is no such file or directory")

// inputFlags say where an archive is: at a path, or in a repository.
type inputFlags struct {
	repo     repoFlags
	identity identityFlags
}

func (f *inputFlags) add(flags *pflag.FlagSet) {
	f.repo.add(flags)
	f.identity.add(flags)
}

// isPath reports whether an argument is a path, and not the reference of a backup. With a repository only what looks like a
// path is one.
func (f *inputFlags) isPath(arg string) bool {
	return f.repo.repo == "" || arg == "-" || strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ".")
}

// A stored is an archive that was opened, and what it is called.
type stored struct {
	archive.Archive
	name    string
	done    func() error
	damaged func(context.Context, error) error // what an error in reading it is to the user; nil: itself
}

func (s *stored) Close() error { return errors.Join(s.Archive.Close(), s.done()) }

func nothing() error { return nil }

// open opens the archive that an argument means.
func (f *inputFlags) open(ctx context.Context, cmd *cobra.Command, arg string, reporter progress.Reporter) (*stored, error) {
	ids, err := f.identity.identities(reporter)
	if err != nil {
		return nil, err
	}
	if f.isPath(arg) {
		a, err := openArchive(cmd, arg, ids)
		if err != nil {
			return nil, err
		}
		return &stored{Archive: a, name: arg, done: nothing}, nil
	}
	repo, b, err := f.find(ctx, cmd, arg, reporter)
	if err != nil {
		return nil, err
	}
	a, err := openBackup(ctx, cmd, b, ids)
	if err != nil {
		return nil, errors.Join(damagedBackup(ctx, repo, b, err), repo.Close())
	}
	return &stored{a, repo.String() + "/" + b.String(), repo.Close, func(ctx context.Context, err error) error { return damagedBackup(ctx, repo, b, err) }}, nil
}

// find opens the repository and finds the backup that an argument means. The caller closes the repository.
func (f *inputFlags) find(ctx context.Context, cmd *cobra.Command, ref string, reporter progress.Reporter) (*repository.Repository, *repository.Backup, error) {
	repo, err := f.repo.open(ctx, cmd, reporter, false)
	if err != nil {
		return nil, nil, err
	}
	b, err := repo.Find(ctx, ref)
	if err == nil && b.Err != nil {
		err = besides(ctx, repo, b, fmt.Errorf("%s: %w", b, b.Err))
	}
	if err != nil {
		return nil, nil, errors.Join(err, repo.Close())
	}
	return repo, b, nil
}

// damagedBackup names the backup in which damage was found, and what to use in its place.
func damagedBackup(ctx context.Context, repo *repository.Repository, b *repository.Backup, err error) error {
	if !isDamage(err) {
		return err
	}
	return besides(ctx, repo, b, fmt.Errorf("%s: %w", b, err))
}

// besides adds the newest good backup besides one that is damaged.
func besides(ctx context.Context, repo *repository.Repository, b *repository.Backup, err error) error {
	if good, _ := repo.Newest(ctx, b.Series, b.ID); good != nil { // that it cannot be known now is not what is wrong
		return &damagedError{err, good.String()}
	}
	return err
}

// A damagedError is about a backup that cannot be used, where there is another.
type damagedError struct {
	err  error
	good string
}

func (e *damagedError) Error() string  { return e.err.Error() }
func (e *damagedError) Unwrap() error  { return e.err }
func (e *damagedError) Remedy() string { return e.good + ", the newest good backup" }

// openBackup opens a backup of a database.
func openBackup(ctx context.Context, cmd *cobra.Command, b *repository.Backup, ids []archive.Identity) (archive.Archive, error) {
	if b.Manifest.Kind != "" {
		return nil, usage(cmd, fmt.Errorf("%s holds roles and tablespaces, not a database: pgberth decrypt writes them to a directory, for psql -f", b))
	}
	return archive.OpenFolder(ctx, b, ids...)
}

// openArchive opens the archive at a path.
func openArchive(cmd *cobra.Command, path string, ids []archive.Identity) (archive.Archive, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, errNoArchive)
	}
	a, err := archive.Open(path, ids...)
	return a, plainSQL(cmd, err)
}

// An input is what restore reads: an archive at rest, or a pipe.
type input interface {
	// database is the name the archive has for its database.
	database() string
	restore(ctx context.Context, options restore.ArchiveOptions) (*restore.Result, error)
	io.Closer
}

// openInput opens the archive that an argument means, or standard input. Standard input
// that is a file is read as one.
func (f *inputFlags) openInput(ctx context.Context, cmd *cobra.Command, c *cli, arg string, reporter progress.Reporter) (_ input, name string, err error) {
	if arg != "-" {
		a, err := f.open(ctx, cmd, arg, reporter)
		if err != nil {
			return nil, "", err
		}
		return atRest{a}, a.name, nil
	}
	if isTerminal(c.stdin) {
		return nil, "", usage(cmd, errors.New("- reads the archive from standard input, which is a terminal; redirect it"))
	}
	file, isFile := c.stdin.(*os.File)
	if isFile {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			a, err := archive.OpenFile(file)
			return atRest{&stored{Archive: a, name: arg, done: nothing}}, arg, plainSQL(cmd, err)
		}
	}
	var pipe io.Reader = c.stdin
	var closer io.Closer = io.NopCloser(nil)
	if isFile {
		interruptible, err := newPipeReader(ctx, file)
		if err != nil {
			return nil, "", err
		}
		pipe, closer = interruptible, interruptible
	}
	in, err := newPiped(pipe, closer)
	if err != nil {
		return nil, "", errors.Join(plainSQL(cmd, err), closer.Close())
	}
	return in, arg, nil
}

type atRest struct{ *stored }

func (a atRest) database() string { return a.TOC().DatabaseName() }

func (a atRest) restore(ctx context.Context, options restore.ArchiveOptions) (*restore.Result, error) {
	done, err := restore.FromArchive(ctx, a.Archive, options)
	if a.damaged != nil {
		err = a.damaged(ctx, err)
	}
	return done, err
}
