package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/session"
)

// worker is a session in the database being filled, and what the archive's
// entries have set in it.
type worker struct {
	*run
	conn    *pgx.Conn
	sql     *archive.Session
	helpers int   // parallel processes an index build may have
	memory  int64 // bytes that it may take
}

// newWorker answers a session that nobody uses, or a new one: over docker exec and a slow line
// each takes ten round trips to make.
func (r *run) newWorker(ctx context.Context) (*worker, error) {
	if w := r.idle.take(); w != nil {
		return w, nil
	}
	return r.openWorker(ctx)
}

func (r *run) openWorker(ctx context.Context) (*worker, error) {
	sql := archive.NewSession(r.toc, r.Archive)
	conn, err := r.Target.session(ctx, r.database, r.toc.Encoding(), r.setup(sql))
	if err != nil {
		return nil, fmt.Errorf("connect to database %q on the target: %w", r.database, err)
	}
	return &worker{run: r, conn: conn, memory: r.maintenance(), sql: sql}, nil
}

// setup is what a session in the database being filled begins with, after its settings.
func (r *run) setup(sql *archive.Session) string {
	return strings.Join(append(sql.Preamble(r.Target.Version/10000), r.tuning()...), "\n")
}

// close leaves the session to whoever needs one next if nothing is under way in it.
func (w *worker) close(ctx context.Context) {
	if ctx.Err() == nil && !w.conn.IsClosed() && w.conn.PgConn().TxStatus() == 'I' {
		w.idle.put(w)
		return
	}
	w.end(ctx)
}

func (w *worker) end(ctx context.Context) { session.Leave(ctx, w.conn) }

// idlers are sessions in the database being filled that nobody uses at the moment.
type idlers struct {
	mu   sync.Mutex
	list []*worker
}

func (i *idlers) put(w *worker) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list = append(i.list, w)
}

func (i *idlers) take() *worker {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.list) == 0 {
		return nil
	}
	w := i.list[len(i.list)-1]
	i.list = i.list[:len(i.list)-1]
	return w
}

// leave ends them all. A database that is renamed or dropped must have no session.
func (i *idlers) leave(ctx context.Context) {
	var ends sync.WaitGroup
	for w := i.take(); w != nil; w = i.take() {
		ends.Go(func() { w.end(ctx) })
	}
	ends.Wait()
}

// exec sends sql, which may hold several statements, as one simple query.
func (w *worker) exec(ctx context.Context, sql string) error {
	_, err := w.conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// entry runs the SQL of an entry as one message: outside a transaction it is
// one, so that an object comes with its owner and settings or not at all. What a
// message that failed has set in the session is gone with it.
func (w *worker) entry(ctx context.Context, e *archive.Entry) error {
	statements, err := w.sql.Statements(e)
	if err != nil {
		return err
	}
	if len(statements) == 0 {
		return nil
	}
	// A definition may end in a comment without a line break.
	if err := w.exec(ctx, strings.Join(statements, "\n")); err != nil {
		w.sql.Reset()
		return fmt.Errorf("restore %s: %w", e.Name(), describe(err))
	}
	w.count(e)
	return nil
}

// preDataBatch is how many entries share a transaction. A table takes four
// locks or so, and a server as it is shipped has room for 6,400.
const preDataBatch = 1000

// preData creates what the rows need, in one transaction if it is not very much:
// an incompatibility shows here, before any row moves, and leaves nothing behind.
func (r *run) preData(ctx context.Context) error {
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	for entries := range slices.Chunk(r.plan.preData, preDataBatch) {
		if err := w.preDataTransaction(ctx, entries); err != nil {
			return err
		}
		r.marked = r.InPlace
		if err := w.exec(ctx, "COMMIT"); err != nil {
			return fmt.Errorf("commit the pre-data objects: %w", err)
		}
	}
	return nil
}

// preDataTransaction begins a transaction and does entries in it: many in a message, since
// a round trip for each takes longer than most of them. If that fails they are done again
// one by one, which tells the one that is to blame.
func (w *worker) preDataTransaction(ctx context.Context, entries []*archive.Entry) error {
	begin := "BEGIN"
	if !w.Tolerant {
		done, err := w.inMessages(ctx, entries, "BEGIN;")
		if err == nil {
			w.count(done...)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if w.conn.IsClosed() {
			return &RehearsalError{err}
		}
		w.sql.Reset() // also what earlier messages of the transaction have set is gone
		if began := w.conn.PgConn().TxStatus() != 'I'; began {
			begin = "ROLLBACK; BEGIN"
		}
	}
	if err := w.exec(ctx, begin); err != nil {
		return fmt.Errorf("begin the pre-data objects: %w", err)
	}
	for _, e := range entries {
		if err := w.preDataEntry(ctx, e); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &RehearsalError{err}
		}
	}
	return nil
}

// A message to the server holds so many entries at most, and about so many bytes.
const (
	messageEntries = 200
	messageBytes   = 256 << 10
)

// inMessages runs the SQL of entries, many in a message, and returns those that have
// any. Where it is not in a transaction, which first may begin, each message is one. After an
// error, some may have been run.
func (w *worker) inMessages(ctx context.Context, entries []*archive.Entry, first ...string) (done []*archive.Entry, err error) {
	for len(entries) > 0 {
		m := message{worker: w, sql: first}
		first = nil
		for len(entries) > 0 && m.entries < messageEntries && m.size < messageBytes {
			if err := m.add(entries[0]); err != nil {
				return nil, err
			}
			entries = entries[1:]
		}
		if err := m.send(ctx); err != nil {
			return nil, err
		}
		done = append(done, m.done...)
	}
	return done, nil
}

// inOneMessage is inMessages for a few entries, of which all are run or none.
func (w *worker) inOneMessage(ctx context.Context, entries []*archive.Entry) (done []*archive.Entry, err error) {
	m := message{worker: w}
	for _, e := range entries {
		if err := m.add(e); err != nil {
			return nil, err
		}
	}
	return m.done, m.send(ctx)
}

// message is the SQL of several entries.
type message struct {
	*worker
	entries, size int
	sql           []string
	done          []*archive.Entry // those that have any
}

func (m *message) add(e *archive.Entry) error {
	statements, err := m.worker.sql.Statements(e)
	if err != nil {
		return err
	}
	m.entries++
	if len(statements) > 0 {
		m.done = append(m.done, e)
	}
	for _, statement := range statements {
		m.sql, m.size = append(m.sql, statement), m.size+len(statement)
	}
	return nil
}

func (m *message) send(ctx context.Context) error {
	if err := m.exec(ctx, strings.Join(m.sql, "\n")); err != nil {
		m.worker.sql.Reset() // what a message that failed has set is gone with it
		return describe(err)
	}
	return nil
}

// preDataEntry runs an entry of the pre-data transaction. A tolerant run takes
// back what failed and goes on.
func (w *worker) preDataEntry(ctx context.Context, e *archive.Entry) error {
	if !w.Tolerant {
		return w.entry(ctx, e)
	}
	if err := w.exec(ctx, "SAVEPOINT entry"); err != nil {
		return err
	}
	err := w.entry(ctx, e)
	if err == nil {
		return w.exec(ctx, "RELEASE SAVEPOINT entry")
	}
	if err := w.tolerate(e, err); err != nil {
		return err
	}
	return w.exec(ctx, "ROLLBACK TO SAVEPOINT entry; RELEASE SAVEPOINT entry")
}

// eventTriggers come after everything they could interfere with.
func (r *run) eventTriggers(ctx context.Context) error {
	if len(r.plan.last) == 0 {
		return nil
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	for _, e := range r.plan.last {
		if err := w.tolerate(e, w.entry(ctx, e)); err != nil {
			return err
		}
	}
	return nil
}
