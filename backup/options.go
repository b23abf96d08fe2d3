package backup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// Check is how what was written is read back before it is published. The zero value is CheckFiles.
type Check string

const (
	// CheckSizes asks the repository for the sizes of the files.
	CheckSizes Check = "sizes"
	// CheckFiles reads the files and holds them against their checksums.
	CheckFiles Check = "files"
	// CheckData also decrypts, decompresses, counts and hashes the rows. It needs no secret key.
	CheckData Check = "data"
)

// Options are what a backup of a database is to do. The zero value of every field but Dump.From, Dump.Clients and
// Repository is usable.
type Options struct {
	// Dump says what is dumped and how. Where it goes is not for it to say.
	Dump       dump.Options
	Repository *repository.Repository
	Tags       []string
	Recipients []archive.Recipient // none leaves the backup unencrypted
	Check      Check
	Limits     Limits
	// MaxFall is the share, of 1, by which the number of rows or their bytes may fall below those of the backup before. More, or
	// a database without tables, is a warning; the latter not where no backup that is left has any. 0 does not compare.
	MaxFall float64
	// AllowEmpty makes a database without tables a warning only if the backup before had some.
	AllowEmpty bool
}

// Limits end a run that would take too long, in order: nothing of it is listed, and no session of it stays on the server. 0 is
// no limit.
type Limits struct {
	Stall time.Duration // during which nothing moves
	Total time.Duration // of the whole run
}

// Result is a backup that was published.
type Result struct {
	Repository string             `json:"repository"`
	Series     string             `json:"database"` // the name of the database, or @globals
	ID         string             `json:"id"`
	Tags       []string           `json:"tags,omitempty"`
	Recipients []string           `json:"recipients,omitempty"` // of an encrypted backup
	Size       int64              `json:"size"`                 // of all files as they are stored
	Files      int                `json:"files"`
	Checked    Check              `json:"checked"`
	Previous   string             `json:"previous,omitempty"` // the ID of the good backup before
	Warnings   []progress.Warning `json:"warnings,omitempty"` // what makes the backup suspect, or leaves something out of it
	Elapsed    time.Duration      `json:"elapsed_ns"`

	// Dump is what was dumped; nil for globals.
	Dump *dump.Result `json:"dump,omitempty"`
	// Manifest is what was published.
	Manifest *archive.Manifest `json:"-"`
}

// Name is what the backup is called in its repository: DB/ID.
func (r *Result) Name() string { return r.Series + "/" + r.ID }

// complete fills in what was left open, and refuses what cannot be.
func (o Options) complete() (Options, error) {
	if o.Dump.Reporter == nil {
		o.Dump.Reporter = progress.Discard
	}
	if o.Check == "" {
		o.Check = CheckFiles
	}
	switch {
	case o.Dump.From == nil || o.Repository == nil:
		return o, errors.New("a backup needs a source and a repository")
	case o.Dump.Path != "" || o.Dump.Output != nil || o.Dump.Folder != nil || o.Dump.Custom:
		return o, errors.New("a backup goes into a repository and nowhere else")
	case o.MaxFall < 0 || o.MaxFall > 1:
		return o, fmt.Errorf("a share of %g is not between 0 and 1", o.MaxFall)
	case !slices.Contains([]Check{CheckSizes, CheckFiles, CheckData}, o.Check):
		return o, fmt.Errorf("there is no check %q", o.Check)
	}
	if err := checkTags(o.Tags); err != nil {
		return o, err
	}
	return o, archive.CheckRecipients(o.Recipients)
}

func checkTags(tags []string) error {
	for _, tag := range tags {
		if strings.TrimSpace(tag) != tag || tag == "" || strings.ContainsAny(tag, ",\n") {
			return errors.New("a tag is a word without commas")
		}
	}
	return nil
}

// mark is what the manifest says of a backup.
func mark(d *repository.Draft, tags []string) archive.ManifestBackup {
	host, err := os.Hostname()
	if err != nil {
		host = "" // it is for people to read
	}
	return archive.ManifestBackup{ID: d.ID, Host: host, Tags: tags}
}
