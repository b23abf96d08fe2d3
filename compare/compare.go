// Package compare finds out whether two databases hold the same: their
// definitions, object by object and aspect by aspect, and their rows, by count
// and by hash.
//
// Each side is read in one snapshot, under identical session settings, and
// nothing is written. Objects are known by name, never by OID. What an object
// is made of comes from the queries of package definitions, one file per topic, each a
// table of aspects; both sides' rows are merged in one pass. The rows of a
// table are streamed from both servers at once and hashed as they arrive.
//
// The servers may be of different majors, from 13 on. What such a pair cannot
// but differ in is left out or written alike; see definitions.Dialect.
package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// Phases of a comparison, as a Reporter gets them.
const (
	PhaseCatalog = "catalog"
	PhaseRows    = progress.Verify
)

// Options say what to compare.
type Options struct {
	From, To *conninfo.Endpoint
	// Jobs is how many tables are read at once, each over a session to either
	// side. Zero means the number of processors, at most 4.
	Jobs int
	// SchemaOnly leaves out rows, values of sequences and contents of large
	// objects.
	SchemaOnly bool
	// Reporter receives progress. Nil drops it.
	Reporter progress.Reporter
}

// Report is the outcome of a comparison.
type Report struct {
	Same         bool           `json:"same"`
	Differences  []Difference   `json:"differences"`
	From         Database       `json:"from"`
	To           Database       `json:"to"`
	Objects      map[string]int `json:"objects"`       // compared objects of either side, by kind
	Tables       int            `json:"tables"`        // whose rows were compared
	Rows         int64          `json:"rows"`          // of From, in those tables
	Bytes        int64          `json:"bytes"`         // of From, as COPY sent them
	LargeObjects int            `json:"large_objects"` // of From, whose contents were compared
	Elapsed      time.Duration  `json:"elapsed_ns"`
}

// Database is one side of a comparison.
type Database struct {
	Name    string `json:"name"`    // the endpoint, without a password
	Version string `json:"version"` // of the server: "17.6"
}

// Difference is one aspect in which an object differs.
type Difference struct {
	Kind   string `json:"kind"`   // "table", "table column", "index", "trigger"
	Object string `json:"object"` // its quoted, qualified name: public.games, games_pkey on public.games
	Aspect string `json:"aspect"` // what differs: "type", "owner", "rows"; "presence" if one side lacks the object
	From   string `json:"from"`
	To     string `json:"to"`
	Note   string `json:"note,omitempty"` // what else there is to know
}

// What stands in a Difference for a value that is not there or must not be seen.
const (
	aspectPresence = "presence"
	valuePresent   = "present"
	valueMissing   = "missing"
	valueNone      = "(none)"
	valueHidden    = "(not shown)"
)

func (d Difference) String() string {
	text := fmt.Sprintf("%s %s: %s: %s, %s", d.Kind, d.Object, d.Aspect, d.From, d.To)
	if d.Note != "" {
		text += "; " + d.Note
	}
	return text
}

// Run compares two databases. That they differ is no error; an error says that
// they could not be compared, and why.
func Run(ctx context.Context, opts Options) (_ *Report, err error) {
	defer func(ctx context.Context) { err = session.Interrupted(ctx, err) }(ctx)
	started := time.Now()
	if opts.From == nil || opts.To == nil {
		return nil, errors.New("compare: two databases are needed")
	}
	if opts.Jobs <= 0 {
		opts.Jobs = min(runtime.NumCPU(), 4)
	}
	if opts.Reporter == nil {
		opts.Reporter = progress.Discard
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	pair, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer pair.close(ctx)
	c := &comparison{
		pair: pair, opts: opts, gone: make(map[string]bool),
		report: &Report{
			Differences: []Difference{},
			From:        pair.from.database(), To: pair.to.database(),
			Objects: make(map[string]int),
		},
	}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	c.report.Differences = byObject(c.report.Differences)
	c.report.Same = len(c.report.Differences) == 0
	c.report.Elapsed = time.Since(started)
	return c.report, nil
}

// byObject puts an object's differences together, where the first of them is.
func byObject(differences []Difference) []Difference {
	type object struct{ kind, name string }
	first := make(map[object]int)
	for i, d := range differences {
		if _, found := first[object{d.Kind, d.Object}]; !found {
			first[object{d.Kind, d.Object}] = i
		}
	}
	slices.SortStableFunc(differences, func(a, b Difference) int {
		return cmp.Compare(first[object{a.Kind, a.Object}], first[object{b.Kind, b.Object}])
	})
	return differences
}

// comparison is the state of one Run.
type comparison struct {
	pair   pair
	opts   Options
	report *Report
	// gone are the objects one side lacks, by name and by kind and name: what
	// hangs on them is not listed again.
	gone map[string]bool
}

func (c *comparison) run(ctx context.Context) error {
	if err := c.pair.checkReadable(ctx); err != nil {
		return err
	}
	if err := c.compareCatalogs(ctx); err != nil {
		return err
	}
	if c.opts.SchemaOnly {
		return nil
	}
	if err := c.compareSequences(ctx); err != nil {
		return err
	}
	return c.compareRows(ctx)
}
