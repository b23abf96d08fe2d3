package nightly

import (
	"context"
	"errors"
	"time"

	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// A Status is how a job, or a run, ended. Its numbers are exit statuses.
type Status int

const (
	Done        Status = 0
	Failed      Status = 1
	Suspect     Status = 3 // all was backed up, and something is not as it should be
	Locked      Status = 11
	Interrupted Status = 130
)

func (s Status) String() string {
	switch s {
	case Done:
		return "done"
	case Suspect:
		return "suspect"
	case Locked:
		return "locked"
	case Interrupted:
		return "interrupted"
	}
	return "failed"
}

// MarshalText is for JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// worse is the status of two things together. One that another run held back has failed if anything else has.
func worse(a, b Status) Status {
	rank := map[Status]int{Done: 0, Suspect: 1, Locked: 2, Failed: 3, Interrupted: 4}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// A Report is what a run did.
type Report struct {
	Status  Status        `json:"status"`
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Jobs    []*JobReport  `json:"jobs"`
}

// A JobReport is what a job did.
type JobReport struct {
	Job        string        `json:"job"`
	Repository string        `json:"repository"`
	Status     Status        `json:"status"`
	Started    time.Time     `json:"started"`
	Elapsed    time.Duration `json:"elapsed_ns"`
	Backups    []*Backup     `json:"backups"`
	Failures   []Failure     `json:"failures"`
}

// A Backup is what was made of a database, or of the globals of a server.
type Backup struct {
	Database string              `json:"database"` // @globals for those
	ID       string              `json:"id,omitempty"`
	Rows     int64               `json:"rows"`
	Size     int64               `json:"size"` // as it is stored
	Tables   int                 `json:"tables"`
	Suspect  []string            `json:"suspect,omitempty"` // why it may not be what it should
	Drilled  bool                `json:"drilled,omitempty"`
	Kept     int                 `json:"kept"`              // backups after it
	Removed  []string            `json:"removed,omitempty"` // backups that the policy does not keep
	Phases   []progress.PhaseEnd `json:"phases,omitempty"`
	Elapsed  time.Duration       `json:"elapsed_ns"`
	Failed   bool                `json:"failed,omitempty"`
}

// A Failure is something that failed, and what of it.
type Failure struct {
	Job      string `json:"job"`
	Database string `json:"database,omitempty"`
	Text     string `json:"message"` // with its remedies
	Err      error  `json:"-"`
}

// Events of a run, besides those of the engines that work for it.
type (
	// JobStart says that a job begins.
	JobStart struct {
		Time       time.Time `json:"time"`
		Job        string    `json:"job"`
		Repository string    `json:"repository"`
	}
	// BackupStart says that what follows is about a database.
	BackupStart struct {
		Time     time.Time `json:"time"`
		Job      string    `json:"job"`
		Database string    `json:"database"`
	}
	// BackupEnd says that a database has been backed up.
	BackupEnd struct {
		Time time.Time `json:"time"`
		Job  string    `json:"job"`
		*Backup
	}
	// Failing says what has failed.
	Failing struct {
		Time time.Time `json:"time"`
		Failure
	}
	// JobEnd says how a job has ended.
	JobEnd struct {
		Time time.Time `json:"time"`
		*JobReport
	}
)

func (JobStart) EventName() string    { return "job_start" }
func (BackupStart) EventName() string { return "backup_start" }
func (BackupEnd) EventName() string   { return "backup_end" }
func (Failing) EventName() string     { return "failure" }
func (JobEnd) EventName() string      { return "job_end" }

// statusOf is what an error makes of a job.
func statusOf(ctx context.Context, err error) Status {
	var locked *repository.LockedError
	switch {
	case err == nil:
		return Done
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return Interrupted
	case errors.As(err, &locked):
		return Locked
	}
	return Failed
}
