// Package migrate moves a live database into a live server: the restore engine
// fed by the dump engine's snapshot, with no file between.
package migrate

import (
	"context"
	"time"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// Verify says how far a migration checks what it stored.
type Verify string

// The levels of Verify.
const (
	VerifyNone Verify = "none" // nothing beyond what the servers report
	VerifyRows Verify = "rows" // rows sent equal rows stored, for every table
	VerifyData Verify = "data" // the target is read again and its row hashes compared
)

// CopyFormat says in which of COPY's formats rows go from server to server.
type CopyFormat string

// The formats. The zero value is CopyAuto.
const (
	CopyAuto   CopyFormat = "auto"   // binary for tables whose types allow it, text for the others
	CopyText   CopyFormat = "text"   // text for all
	CopyBinary CopyFormat = "binary" // binary for all; preflight names the tables that cannot
)

// Options are what a user asks of a migration. The zero value of every field
// but From, To and Clients is usable.
type Options struct {
	From *conninfo.Endpoint // the source database
	To   *conninfo.Endpoint // the target server; its database is the final name

	// Clients are the pg_dumps to choose from, in any order.
	Clients []pgtools.Client
	// FreeDisk returns the bytes free for the target's data. Nil, or an
	// error, leaves the disk unchecked, which is reported.
	FreeDisk func(context.Context) (int64, error)

	// Resources are what the target has for itself, as far as it is known.
	Resources restore.Resources
	// FastLoad is which of the target's settings may be changed; the zero value is
	// none. Restart is how the target is restarted; nil is for one that cannot be.
	FastLoad restore.FastLoad
	Restart  restore.Restarter

	CopyFormat CopyFormat
	Jobs       int  // parallel streams; 0 chooses by the machine
	Replace    bool // a non-empty target database is kept under another name
	DropOld    bool // and dropped after the swap
	Disconnect bool // sessions on the old database are ended for the swap
	InPlace    bool // load into the existing, empty database instead of a staging database
	Verify     Verify

	NoRoles       bool // create no roles
	NoOwner       bool // leave every object to the role that restores
	NoPrivileges  bool // no GRANT and REVOKE
	NoTablespaces bool // everything in the target's default tablespace

	// Patterns as in pg_dump.
	Schemas, ExcludeSchemas                 []string
	Tables, ExcludeTables, ExcludeTableData []string

	Reporter progress.Reporter // nil drops events
}

// Problem is something preflight found that must be mended before a run.
type Problem = preflight.Problem

// PreflightError lists every problem found before anything was touched.
type PreflightError = preflight.Error

// Table is a table whose rows are to be moved, or were.
type Table struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`          // of the source's files in a plan, of COPY data in a result
	Rows  int64  `json:"rows,omitempty"` // in a result only
}

// Plan is what a run would do.
type Plan struct {
	From          string         `json:"from"`
	To            string         `json:"to"`
	SourceVersion string         `json:"source_version"`
	TargetVersion string         `json:"target_version"`
	Client        string         `json:"client"` // the pg_dump that is tried first
	Jobs          int            `json:"jobs"`
	Objects       map[string]int `json:"objects"` // number of archive entries by type
	Tables        []Table        `json:"tables"`  // in the order of loading
	Bytes         int64          `json:"bytes"`   // of all tables, as the source stores them
	Roles         []string       `json:"roles"`   // to be created
	Staging       string         `json:"staging"` // pattern of the staging database's name
	Renamed       string         `json:"renamed"` // what becomes of an existing database, "" if there is none
	Problems      []Problem      `json:"problems"`
	Warnings      []Problem      `json:"warnings"`
}

// Phase is how long a phase took.
type Phase struct {
	Name    string        `json:"name"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Result is what a run did.
type Result struct {
	From         string         `json:"from"`
	To           string         `json:"to"`
	FromVia      string         `json:"from_via,omitempty"` // how a container was reached
	ToVia        string         `json:"to_via,omitempty"`
	Client       string         `json:"client,omitempty"`
	Objects      map[string]int `json:"objects"`
	Tables       []Table        `json:"tables"`
	Rows         int64          `json:"rows"`
	Bytes        int64          `json:"bytes"`
	LargeObjects int            `json:"large_objects"`
	Roles        []string       `json:"roles_created"`
	Phases       []Phase        `json:"phases"`
	Verified     Verify         `json:"verified"`
	OldDatabase  string         `json:"old_database,omitempty"` // where the old database is kept
	OldDropped   bool           `json:"old_dropped,omitempty"`
	Elapsed      time.Duration  `json:"elapsed_ns"`
}
