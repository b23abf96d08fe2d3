package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
)

// copyInserts runs the statements of an entry that pg_dump wrote with
// --inserts, in one transaction. How many rows they store is not known.
func (w *worker) copyInserts(ctx context.Context, e *archive.Entry) error {
	streams, err := w.Source.Streams(ctx, e, 1)
	if err != nil {
		return err
	}
	if err := w.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	sink := &statements{ctx: ctx, w: w}
	sent, err := streams[0](ctx, sink, nil)
	if err == nil {
		err = sink.flush(len(sink.text))
	}
	if err == nil {
		err = w.exec(ctx, "COMMIT")
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", e.Name(), describe(err))
	}
	w.count(e)
	w.tables.add(e, TableResult{Name: e.Namespace.String + "." + e.Tag, Bytes: sent.Bytes})
	return nil
}

// statements runs SQL that comes in pieces. pg_dump's INSERT statements hold
// strings and quoted names, but no comments, escapes or dollar quotes.
type statements struct {
	ctx   context.Context // of the one entry it lives for
	w     *worker
	text  []byte
	seen  int // bytes of text that were looked at
	ends  int // where the last whole statement ends
	quote byte
}

// statementsBatch is how much SQL is sent at once.
const statementsBatch = 256 << 10

// Write takes SQL, cut anywhere.
func (s *statements) Write(p []byte) (int, error) {
	s.text = append(s.text, p...)
	for ; s.seen < len(s.text); s.seen++ {
		switch c := s.text[s.seen]; {
		case s.quote != 0 && c == s.quote:
			s.quote = 0 // a doubled quote opens again at once
		case s.quote == 0 && (c == '\'' || c == '"'):
			s.quote = c
		case s.quote == 0 && c == ';':
			s.ends = s.seen + 1
		}
	}
	if s.ends < statementsBatch {
		return len(p), nil
	}
	return len(p), s.flush(s.ends)
}

func (s *statements) flush(n int) error {
	if n == 0 {
		return nil
	}
	err := s.w.exec(s.ctx, string(s.text[:n]))
	s.text = append(s.text[:0], s.text[n:]...)
	s.seen, s.ends = len(s.text), 0
	return err
}

// Forward implements [copywire.Sink]; frames hold no statements.
func (s *statements) Forward([]byte) error {
	return errors.New("rows came where statements were expected")
}

var _ copywire.Sink = (*statements)(nil)
