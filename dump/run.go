package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// Options are what a dump is to do. The zero value of every field but From,
// Clients and Path is usable.
type Options struct {
	From    *conninfo.Endpoint
	Clients []pgtools.Client // the pg_dumps to choose from, in any order

	// Path is where the archive appears when it is whole: a directory, or a
	// file in custom format. If it is empty a custom archive goes to Output.
	Path   string
	Output io.Writer
	Custom bool // custom format at Path, instead of a directory
	// Folder takes the files of a directory archive, in the place of Path and Output. It is published at the end, and
	// left to be aborted by the caller if the run fails.
	Folder archive.FolderWriter
	Backup archive.ManifestBackup // for the manifest of an archive that is a backup in a repository

	// Codec compresses the rows; nil chooses zstd where PgRestore reads it.
	Codec *archive.Codec
	// PgRestore is the major version of the oldest pg_restore that must read
	// the archive; 0 is the source's version.
	PgRestore int
	Jobs      int // parallel streams; 0 chooses by the machine
	Filter    Filter
	// LockWait is how long to wait for a table that another session has locked; 0 is a minute.
	LockWait time.Duration

	Tool     string // name and version, for the manifest
	Reporter progress.Reporter
}

// Table is a table whose rows were dumped.
type Table struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Raw    int64  `json:"raw_bytes"`
	Stored int64  `json:"stored_bytes"`
}

// Result is what a dump did.
type Result struct {
	From         string         `json:"from"`
	FromVia      string         `json:"from_via,omitempty"` // how a container was reached
	Path         string         `json:"path"`
	Client       string         `json:"client"`
	PgRestore    int            `json:"pg_restore"`
	Layout       string         `json:"layout"`
	Compression  string         `json:"compression"`
	Objects      map[string]int `json:"objects"`
	Tables       []Table        `json:"tables"`
	Rows         int64          `json:"rows"`
	Raw          int64          `json:"raw_bytes"`
	Stored       int64          `json:"stored_bytes"`
	LargeObjects int            `json:"large_objects"`
	Elapsed      time.Duration  `json:"elapsed_ns"`

	Manifest *archive.Manifest `json:"-"` // of a directory archive
}

// ErrLocked reports that another run is writing to the same path.
var ErrLocked = atomicfile.ErrLocked

// Run writes an archive of one snapshot. Nothing is at Path until it is whole
// and on the disk; after an error nothing is left. What a run to the same path
// that was killed has left is removed.
func Run(ctx context.Context, opts Options) (_ *Result, err error) {
	defer func() { err = session.Interrupted(ctx, err) }()
	start := time.Now()
	opts, err = opts.complete()
	if err != nil {
		return nil, err
	}
	if opts.Path != "" {
		lock, lockErr := atomicfile.TryLock(opts.Path)
		if lockErr != nil {
			return nil, lockErr
		}
		defer func() { err = errors.Join(err, lock.Unlock()) }()
		if err := atomicfile.RemoveStale(opts.Path); err != nil {
			return nil, err
		}
	}
	opts.Reporter.Report(progress.PhaseStart{Phase: progress.Snapshot})
	snapshot, err := openWithin(ctx, opts.From, opts.LockWait)
	if err != nil {
		return nil, err
	}
	defer snapshot.Close(ctx)
	live, client, err := snapshot.schema(ctx, &opts)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := live.Close(); err == nil { // else it has been told already
			err = closeErr
		}
	}()
	w := &writer{Options: &opts, snapshot: snapshot, live: live, client: client,
		result: &Result{From: opts.From.Name, FromVia: opts.From.Via, Path: opts.Path, Client: client.String(), PgRestore: opts.PgRestore,
			Compression: opts.Codec.String(), Objects: map[string]int{}}}
	opts.Reporter.Report(progress.PhaseEnd{Phase: progress.Snapshot, Elapsed: time.Since(start)})
	if err := w.write(ctx); err != nil {
		return nil, err
	}
	w.result.Elapsed = time.Since(start)
	return w.result, nil
}

// complete fills in what was left open, and refuses what does not go together.
func (o Options) complete() (Options, error) {
	if o.Reporter == nil {
		o.Reporter = progress.Discard
	}
	if o.Jobs <= 0 {
		o.Jobs = min(8, max(2, runtime.NumCPU()))
	}
	if o.LockWait <= 0 {
		o.LockWait = defaultLockWait
	}
	if o.Path == "" {
		return o, nil
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return o, fmt.Errorf("resolve %s: %w", o.Path, err)
	}
	o.Path = path
	found, err := os.ReadDir(path)
	if err == nil && len(found) == 0 && !o.Custom {
		return o, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return o, fmt.Errorf("%s is there already; name another path, or remove it", path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return o, err
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, os.ErrNotExist) {
		return o, fmt.Errorf("%s is to be in a directory that does not exist; make it first, with mkdir -p", path)
	}
	return o, nil
}

// schema runs the best client and checks that everything it names can be read.
func (s *Snapshot) schema(ctx context.Context, opts *Options) (*Live, pgtools.Client, error) {
	major := pgtools.Major(s.Version)
	if opts.PgRestore == 0 {
		opts.PgRestore = major
	}
	if err := opts.chooseCodec(); err != nil {
		return nil, nil, err
	}
	clients, problem := pgtools.Rank(opts.Clients, major, major)
	if problem != nil {
		return nil, nil, &preflight.Error{Problems: []preflight.Problem{*problem}}
	}
	var failures []error
	for _, client := range clients {
		live, err := s.Dump(ctx, client, opts.Filter)
		if err == nil {
			live.asText()
			findings, err := live.Check(ctx)
			if err = errors.Join(err, findings.Err()); err != nil {
				return nil, nil, errors.Join(err, live.Close())
			}
			for _, w := range findings.Warnings {
				opts.Reporter.Report(progress.Warning{Object: w.Object, Text: w.Text, Remedy: w.Remedy})
			}
			return live, client, nil
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		failures = append(failures, err)
	}
	if findings := s.CheckAll(); len(findings.Problems) > 0 {
		return nil, nil, findings.Err() // says more than pg_dump does
	}
	return nil, nil, errors.Join(failures...)
}

// chooseCodec settles the compression: pg_restore reads zstd from version 16.
func (o *Options) chooseCodec() error {
	zstd := archive.LayoutFor(o.PgRestore) >= 15
	switch {
	case o.Codec == nil && zstd:
		o.Codec = &archive.Codec{Compression: archive.CompressionZstd}
	case o.Codec == nil:
		o.Codec = &archive.Codec{Compression: archive.CompressionGzip}
	case o.Codec.Compression == archive.CompressionZstd && !zstd:
		return fmt.Errorf("pg_restore %d cannot read zstd: use --compress=gzip, or --pg-restore=16 or later", o.PgRestore)
	}
	return nil
}

// asText makes rows leave as archives have them.
func (l *Live) asText() {
	for _, t := range l.tables {
		t.Binary = false
	}
}
