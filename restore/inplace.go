package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
)

// emptyInPlace drops what a failed run in place had created, in the reverse
// order of creation, and nothing that was there before. It goes on after a
// failure: the less is left, the better.
func (r *run) emptyInPlace(ctx context.Context) error {
	if !r.marked {
		return nil // the pre-data transaction was rolled back
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return fmt.Errorf("empty database %q again: %w", r.database, err)
	}
	defer w.close(ctx)
	var errs []error
	undo := func(sql string) {
		// What a cascade took along is gone already.
		if err := w.exec(ctx, sql); err != nil && !isMissing(err) {
			errs = append(errs, fmt.Errorf("empty database %q again: %s: %w", r.database, firstLine(sql), err))
		}
	}
	for _, oid := range r.objects {
		undo(fmt.Sprintf("SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = %d", oid))
	}
	entries := slices.Concat(r.plan.preData, r.plan.parallel, r.plan.last)
	for _, e := range slices.Backward(entries) {
		if !r.isRefused(e.ID) && r.tables.created[e.ID] {
			for _, sql := range dropSQL(e) {
				undo(sql)
			}
		}
	}
	if len(r.created) > 0 {
		// What is left to roles of this run: privileges, default privileges.
		undo("DROP OWNED BY " + quoteAll(r.created) + " CASCADE")
	}
	return errors.Join(errs...)
}

// dropSQL returns the statements that drop an entry's object with all that
// depends on it. Objects that go with their table have none.
func dropSQL(e *archive.Entry) []string {
	switch e.Desc {
	case "INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "STATISTICS":
		return nil
	case "SUBSCRIPTION": // its slot is another server's, and was never made
		name := catalog.Quote(e.Tag)
		return []string{"ALTER SUBSCRIPTION " + name + " DISABLE",
			"ALTER SUBSCRIPTION " + name + " SET (slot_name = NONE)", "DROP SUBSCRIPTION " + name}
	}
	drop := strings.TrimRight(strings.TrimSpace(e.DropStmt.String), ";")
	switch {
	case !strings.HasPrefix(drop, "DROP "):
		return nil
	case e.Desc == "USER MAPPING": // nothing can depend on it
		return []string{drop}
	}
	return []string{strings.TrimSuffix(drop, " CASCADE") + " CASCADE"}
}
