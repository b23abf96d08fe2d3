package copywire_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// noLeaks fails the test if it ends with goroutines it did not start with.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// relay moves rows from one server to another as a restore does.
func relay(ctx context.Context, from, to *pgconn.PgConn, out, in string, hash *copywire.RowHash) (copywire.Tally, int64, error) {
	sink, err := copywire.OpenIn(ctx, to, in)
	if err != nil {
		return copywire.Tally{}, 0, err
	}
	tally, err := copywire.Out(ctx, from, out, sink, hash)
	if err != nil {
		return tally, 0, sink.Abort(err)
	}
	stored, err := sink.Finish()
	return tally, stored, err
}

// collector keeps what it is sent.
type collector struct{ frames []byte }

func (c *collector) Forward(p []byte) error {
	c.frames = append(c.frames, p...)
	return nil
}

// payloads cuts CopyData messages apart.
func payloads(t *testing.T, frames []byte) (all [][]byte) {
	t.Helper()
	for len(frames) > 0 {
		if len(frames) < 5 || frames[0] != 'd' {
			t.Fatalf("%d bytes that are no CopyData message: %.20q", len(frames), frames)
		}
		end := 1 + int(binary.BigEndian.Uint32(frames[1:]))
		if end > len(frames) {
			t.Fatalf("a CopyData message of %d bytes, of which %d are there", end, len(frames))
		}
		all = append(all, frames[5:end])
		frames = frames[end:]
	}
	return all
}

// naive is RowHash by the book: of whole rows, known one by one.
func naive(rows [][]byte, binaryFormat bool) (sum uint64, bytes int64) {
	for i, row := range rows {
		bytes += int64(len(row))
		if binaryFormat {
			if i == 0 {
				row = row[19:]
			}
			if string(row) == "\xff\xff" {
				continue
			}
		}
		sum += xxhash.Sum64(row)
	}
	return sum, bytes
}

// eventually waits for a condition that must come true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// usable runs a statement on a connection that should have survived.
func usable(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	results, err := conn.Exec(ctx, "SELECT 'pong'").ReadAll()
	if err != nil || string(results[0].Rows[0][0]) != "pong" {
		t.Errorf("the connection is not usable: %v", err)
	}
}
