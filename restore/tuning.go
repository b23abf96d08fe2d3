package restore

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/pgberth/pgberth/archive"
)

// Resources are what the target's server has for itself. Zeros are for what is
// not known.
type Resources struct {
	CPUs   int
	Memory int64 // bytes
	Disk   int64 // bytes that are free where the data are
}

const (
	// unknownMemory is what a server is taken to have: it is rented by the gigabyte.
	unknownMemory = 2 << 30
	// A session may use a part of the memory for an index; beyond a gigabyte it gains nothing.
	maxMaintenance = 1 << 30
	minMaintenance = 64 << 20 // as a server is shipped
)

// cpus is the number of cores: those of this machine, if it is not known.
func (r Resources) cpus() int {
	if r.CPUs > 0 {
		return r.CPUs
	}
	return runtime.NumCPU()
}

// Jobs is how many parallel streams a run has if nobody says.
func (r Resources) Jobs() int { return min(8, max(2, r.cpus())) }

// maintenance is how much memory each worker may use to build an index or to
// check a key: a quarter of the target's for all of them together, and never less than what
// the server gives by itself.
func (r *run) maintenance() int64 {
	memory := r.Resources.Memory
	if memory == 0 {
		memory = unknownMemory
	}
	return max(r.Target.indexMem, min(maxMaintenance, max(minMaintenance, memory/4/int64(r.Jobs))))
}

// tuning are the settings of a worker's session that make it fast and that
// nothing stored depends on.
func (r *run) tuning() []string {
	return []string{
		// The swap commits with a flush of all that was written before.
		"SET synchronous_commit = off;",
		fmt.Sprintf("SET maintenance_work_mem = '%dkB';", r.maintenance()>>10),
		"SET max_parallel_maintenance_workers = 0;", // see prepare
		"SET vacuum_cost_delay = 0;",                // ANALYZE heeds it too
	}
}

// A sort whose memory fits into the processor's caches is faster than one that never leaves memory: an index
// of a uuid column took 1.8 s of CPU with 64 MB and 2.5 s with 1 GB. The runs it makes are merged at once, unless
// there are hundreds.
const (
	sortMemory = 64 << 20
	sortMost   = 100 * sortMemory
)

// sorts is the memory for the sort of an index, or 0 for what other work gets. Keys are mostly in
// the order of their rows: with nothing to merge they are done sooner in memory.
func (r *run) sorts(e *archive.Entry, helpers int) int64 {
	if e.Desc != archive.DescIndex || !strings.Contains(e.Defn.String, " USING btree ") {
		return 0
	}
	size := r.Source.Size(e)
	if size == 0 {
		size = r.rowsOf(e) / unknownIndex
	}
	if size > sortMost {
		return 0
	}
	return sortMemory * int64(helpers+1) // they share it
}

// prepare sets how many processes help the session with an entry, as many as there are cores that
// nobody else uses, and the memory it takes.
func (w *worker) prepare(ctx context.Context, e *archive.Entry, helpers int) error {
	memory := w.sorts(e, helpers)
	if memory == 0 {
		memory = w.maintenance()
	}
	if helpers == w.helpers && memory == w.memory {
		return nil
	}
	if err := w.exec(ctx, fmt.Sprintf("SET max_parallel_maintenance_workers = %d; SET maintenance_work_mem = '%dkB'", helpers, memory>>10)); err != nil {
		return err
	}
	w.helpers, w.memory = helpers, memory
	return nil
}
