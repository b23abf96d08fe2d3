package archive

import (
	"bytes"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// A rowSum counts the rows of COPY text and hashes them so that their order does not matter: the sum
// of the 64-bit xxHash of each row with its line break. The text may be cut anywhere.
type rowSum struct {
	rows  int64
	bytes int64
	sum   uint64
	part  *xxhash.Digest // of a row that is not complete
	open  bool           // part holds the start of a row
}

func (s *rowSum) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		switch {
		case end == 0:
			s.continued(rest)
			return len(p), nil
		case s.open:
			s.continued(rest[:end])
			s.add(s.part.Sum64())
			s.part.Reset()
			s.open = false
		default:
			s.add(xxhash.Sum64(rest[:end]))
		}
		rest = rest[end:]
	}
	return len(p), nil
}

func (s *rowSum) continued(p []byte) {
	if s.part == nil {
		s.part = xxhash.New()
	}
	s.part.Write(p)
	s.open = true
}

func (s *rowSum) add(row uint64) {
	s.rows++
	s.sum += row
}

// merge adds the whole rows of another part of the table.
func (s *rowSum) merge(o *rowSum) {
	s.rows += o.rows
	s.bytes += o.bytes
	s.sum += o.sum
}

// String is the hash as a manifest has it.
func (s *rowSum) String() string { return fmt.Sprintf("%016x", s.sum) }
