package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
)

// inOrder is a source whose data can only be had in the order it comes in.
type inOrder interface {
	Source
	// NextData goes to the next entry with data, which Streams or
	// LargeObjects then are about. After the last one it returns io.EOF.
	NextData() (*archive.Entry, error)
}

// pipeSource feeds a restore from a custom archive that comes through a pipe.
type pipeSource struct {
	reader *archive.CustomReader
	toc    *archive.TOC
	block  *archive.Block
}

var _ inOrder = (*pipeSource)(nil)

func (s *pipeSource) TOC() *archive.TOC               { return s.toc }
func (s *pipeSource) Size(*archive.Entry) int64       { return 0 }
func (s *pipeSource) Binary(*archive.Entry) bool      { return false }
func (s *pipeSource) Condition(*archive.Entry) string { return "" }

func (s *pipeSource) Expected(*archive.Entry) (rows int64, hash uint64, known bool) {
	return 0, 0, false
}

func (s *pipeSource) NextData() (e *archive.Entry, err error) {
	if s.block, err = s.reader.Next(); err != nil {
		return nil, err
	}
	return s.block.Entry, nil
}

func (s *pipeSource) Streams(_ context.Context, e *archive.Entry, _ int) ([]Stream, error) {
	if s.block == nil || s.block.Entry.ID != e.ID {
		return nil, fmt.Errorf("the rows of %s are not next in the archive", e.Name())
	}
	rows := e.Rows(s.block)
	return []Stream{func(_ context.Context, sink copywire.Sink, hash *copywire.RowHash) (copywire.Tally, error) {
		return copyText(io.NopCloser(rows), sink, hash)
	}}, nil
}

func (s *pipeSource) LargeObjects(_ context.Context, fn func(e *archive.Entry, oid uint32, data io.Reader) error) error {
	for {
		oid, data, err := s.block.NextLO()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fn(s.block.Entry, oid, data)
		}
		if err != nil {
			return err
		}
	}
}

// loadInOrder brings in the data of a source that cannot be asked for it in
// another order.
func (r *run) loadInOrder(ctx context.Context, source inOrder) error {
	planned := map[int]bool{}
	for _, e := range r.plan.parallel {
		planned[e.ID] = e.Desc == archive.DescTableData
	}
	for {
		e, err := source.NextData()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case e.Desc == archive.DescBlobs && r.plan.blobs:
			err = r.fillLargeObjects(ctx)
		case planned[e.ID]:
			err = r.data(ctx, e)
		}
		if err != nil {
			return err
		}
	}
}
