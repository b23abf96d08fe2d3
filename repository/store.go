// Package repository keeps the backups of many databases in one place: a directory, or a prefix of an S3 bucket.
//
// A backup is a directory archive, DB/ID/, that stock pg_restore takes as it is unless it is encrypted. Its files
// come first and its manifest, DB/ID/pgberth.json, last: what has no manifest is no backup. Removal goes the
// other way round. docs/repository.md describes the layout.
package repository

import (
	"context"
	"fmt"
	"time"

	"github.com/pgberth/pgberth/archive"
)

// A Store keeps objects under keys of one or more names separated by slashes. No name is empty or starts with a dot: such
// names are the store's own. Every method may be called by several goroutines at once. A key that is not there gives an
// error that wraps fs.ErrNotExist.
type Store interface {
	// String names the store for messages, without secrets: a path, or s3://BUCKET/PREFIX.
	String() string

	// Create starts an object, which appears under its key, whole and durable, when Commit has returned nil, and not
	// before. size is the number of bytes to expect, or -1; more or fewer may come.
	Create(ctx context.Context, key string, size int64) (Writer, error)

	// Open opens an object for reading from its start and at any place. The end of ctx ends reads.
	Open(ctx context.Context, key string) (Reader, error)

	// List returns the objects below a prefix, which ends with a slash or is empty, at any depth, in the order of
	// their keys. Objects that are being created are not among them.
	List(ctx context.Context, prefix string) ([]Object, error)

	// Folders returns the first names of the keys below a prefix that have more than one, sorted. A folder that has
	// become empty may be among them.
	Folders(ctx context.Context, prefix string) ([]string, error)

	// Remove removes objects. One that is not there is no error. On success the removal is durable.
	Remove(ctx context.Context, keys ...string) error

	// Sweep removes what creations below a prefix that never ended have left. The caller holds the lock of the prefix.
	Sweep(ctx context.Context, prefix string) error

	// Lock takes the lock of a name, or fails with a [*LockedError] if a live owner holds it. It does not wait. The lock
	// of an owner that is known to be dead is taken over.
	Lock(ctx context.Context, name string, owner Owner) (Lock, error)

	// Locks returns the locks that are held, and those of owners that died and nobody has taken over.
	Locks(ctx context.Context) ([]Held, error)

	// Unlock removes the lock of a name, whoever holds it. Where a lock cannot outlive its owner, one that is held is not
	// removed but answered with a [*LockedError].
	Unlock(ctx context.Context, name string) error

	Close() error
}

// A Writer is an object that is being created. One of Commit and Abort must be called, once; Abort after Commit does nothing.
type Writer = archive.FileWriter

// A Reader is an object that is being read.
type Reader = archive.File

// An Object is what a list says of one.
type Object struct {
	Key  string
	Size int64
}

// A Lock is held until it is released, or until its process dies.
type Lock interface {
	// Lost is closed when the lock has been lost, to another's takeover or because it could not be renewed. A lock that the
	// operating system holds is never lost.
	Lost() <-chan struct{}
	Release(ctx context.Context) error
}

// An Owner is who holds a lock.
type Owner struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Boot    string    `json:"boot,omitempty"` // of the host, so that a process id of before a restart is known to be dead
	Command string    `json:"command"`        // such as "pgberth dump"
	Started time.Time `json:"started"`
}

// Held is a lock and who holds it. The zero Owner is one that could not be read.
type Held struct {
	Name  string `json:"name"`
	Owner Owner  `json:"owner"`
}

// A LockedError says who holds a lock.
type LockedError struct{ Held }

func (e *LockedError) Error() string {
	if e.Owner.Host == "" {
		return fmt.Sprintf("%s is locked by another run", e.Name)
	}
	return fmt.Sprintf("%s is locked by %s on %s (process %d) since %s", e.Name, e.Owner.Command, e.Owner.Host, e.Owner.PID,
		e.Owner.Started.UTC().Format(time.RFC3339))
}
