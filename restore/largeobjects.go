package restore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/progress"
)

// lobPiece is how much of a large object goes into one call, and lobBatch how
// much is sent before the server's answers are read.
const (
	lobPiece = 256 << 10
	lobBatch = 4 << 20
)

// createLargeObjects makes the large objects with their owners.
func (r *run) createLargeObjects(ctx context.Context) error {
	if len(r.plan.objects) == 0 {
		return nil
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	var batch []string
	var batched []uint32
	for i, e := range r.plan.objects {
		statements, err := w.sql.Statements(e)
		if err != nil {
			return err
		}
		oids, err := e.LargeObjects()
		if err != nil {
			return err
		}
		batch, batched = append(batch, statements...), append(batched, oids...)
		r.result.LargeObjects += len(oids)
		w.count(e)
		// Each statement takes a lock until the message is done.
		if len(batch) >= 500 || i == len(r.plan.objects)-1 {
			if err := w.exec(ctx, strings.Join(batch, "\n")); err != nil {
				return fmt.Errorf("restore large objects up to %s: %w", e.Name(), describe(err))
			}
			r.objects = append(r.objects, batched...)
			batch, batched = batch[:0], batched[:0]
		}
	}
	return nil
}

// fillLargeObjects writes the contents, many calls to a round trip.
func (r *run) fillLargeObjects(ctx context.Context) error {
	start := time.Now()
	w, err := r.openWorker(copywire.Bulk(ctx))
	if err != nil {
		return err
	}
	defer w.end(ctx) // one more than the others need
	const object = "large objects"
	r.Reporter.Report(progress.UnitStart{Phase: progress.Rows, Object: object})
	b := lobWriter{worker: w, ctx: ctx, piece: make([]byte, lobPiece), batch: &pgconn.Batch{}}
	filled := 0
	err = r.Source.LargeObjects(ctx, func(e *archive.Entry, oid uint32, data io.Reader) error {
		filled++
		if err := b.write(oid, data); err != nil {
			return fmt.Errorf("large object %d: %w", oid, err)
		}
		return nil
	})
	if err == nil {
		err = b.flush()
	}
	if err != nil {
		return err
	}
	r.filled += filled
	r.Reporter.Report(progress.UnitEnd{Phase: progress.Rows, Object: object, Rows: int64(filled), Bytes: b.bytes, Elapsed: time.Since(start)})
	return nil
}

type lobWriter struct {
	*worker
	ctx   context.Context // of the one call of fillLargeObjects it lives in
	piece []byte          // to read into
	batch *pgconn.Batch
	calls int // in the batch
	held  int // bytes in it
	bytes int64
}

func (b *lobWriter) write(oid uint32, data io.Reader) error {
	for offset := int64(0); ; {
		n, err := io.ReadFull(data, b.piece)
		if n > 0 { // most large objects are small: the batch holds what is there, not a whole piece
			b.put(oid, offset, b.piece[:n])
			offset += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			b.bytes += offset
			if offset == 0 {
				return nil // empty, and created so
			}
			if b.held+b.calls*1024 >= lobBatch {
				return b.flush()
			}
			return nil
		}
		if err != nil {
			return err
		}
		if b.held >= lobBatch {
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
}

// put adds a call to the batch, which copies the data, with parameters in binary: as text data are twice as long.
func (b *lobWriter) put(oid uint32, offset int64, data []byte) {
	b.batch.ExecParams("SELECT pg_catalog.lo_put($1, $2, $3)", [][]byte{
		binary.BigEndian.AppendUint32(nil, oid), binary.BigEndian.AppendUint64(nil, uint64(offset)), data,
	}, []uint32{pgtype.OIDOID, pgtype.Int8OID, pgtype.ByteaOID}, []int16{1, 1, 1}, nil)
	b.calls++
	b.held += len(data)
}

func (b *lobWriter) flush() error {
	if b.calls == 0 {
		return nil
	}
	_, err := b.conn.PgConn().ExecBatch(b.ctx, b.batch).ReadAll()
	b.Reporter.Report(progress.UnitBytes{Phase: progress.Rows, Object: "large objects", N: int64(b.held)})
	b.batch, b.calls, b.held = &pgconn.Batch{}, 0, 0
	if err != nil {
		return fmt.Errorf("write large objects: %w", describe(err))
	}
	return nil
}
