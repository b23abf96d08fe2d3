package restore

import (
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
)

// refusals are the entries that a tolerant run could not restore.
type refusals struct {
	mu      sync.Mutex
	entries map[int]bool
}

var errNoTable = errors.New("its table could not be created")

// tolerate lets a tolerant run go on after the server refused an entry, or
// returns the error.
func (r *run) tolerate(e *archive.Entry, err error) error {
	var server *pgconn.PgError
	if err == nil || !r.Tolerant || !errors.Is(err, errNoTable) && !errors.As(err, &server) {
		return err
	}
	r.refusals.mu.Lock()
	if r.refusals.entries == nil {
		r.refusals.entries = map[int]bool{}
	}
	r.refusals.entries[e.ID] = true
	r.refusals.mu.Unlock()
	r.Reporter.Report(progress.Warning{Object: e.Name(), Text: "not restored: " + err.Error()})
	return nil
}

func (r *run) isRefused(id int) bool {
	r.refusals.mu.Lock()
	defer r.refusals.mu.Unlock()
	return r.refusals.entries[id]
}

func (f *refusals) err() error {
	if len(f.entries) == 0 {
		return nil
	}
	return &PartialError{fmt.Errorf("the target refused %d entries of the archive, each reported above", len(f.entries))}
}
