package copywire

import (
	"bytes"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// binaryHeaderLen is the length of the header that precedes the first row of a
// binary COPY: signature, flags, and the length of an empty extension.
const binaryHeaderLen = 11 + 4 + 4

// RowHash hashes rows so that their order does not matter: the sum, modulo
// 2^64, of the 64-bit xxHash of every row's COPY data, and the number of rows.
// Sums of parts of a table add up to the sum of the table, and a row that is
// there twice does not cancel itself out as it would with XOR.
//
// Hashes compare only between rows sent in the same format, with the same
// column list, under the same session settings (see package session).
type RowHash struct {
	Sum  uint64
	Rows int64

	skip    int // bytes of the binary header that are still to come
	binary  bool
	long    xxhash.Digest // a row that does not lie in one buffer
	started bool          // long holds a part of a row
	tail    [2]byte       // the last two bytes, to know the binary trailer
	length  int64
}

// NewRowHash returns a hash for rows in binary or text format.
func NewRowHash(binaryFormat bool) *RowHash {
	h := &RowHash{binary: binaryFormat}
	if binaryFormat {
		h.skip = binaryHeaderLen
	}
	return h
}

// write takes a part of a row; last says that the row ends with it.
func (h *RowHash) write(p []byte, last bool) {
	if h.skip > 0 {
		n := min(h.skip, len(p))
		h.skip -= n
		p = p[n:]
		if len(p) == 0 && (h.skip > 0 || last) {
			return // nothing of a row yet, or a message of the header alone
		}
	}
	if !h.started && last {
		if h.binary && isTrailer(p) {
			return
		}
		h.add(xxhash.Sum64(p))
		return
	}
	if !h.started {
		h.long.Reset()
		h.started, h.length = true, 0
	}
	_, _ = h.long.Write(p) // a Digest never fails
	h.remember(p)
	if !last {
		return
	}
	h.started = false
	if h.binary && h.length == 2 && isTrailer(h.tail[:]) {
		return
	}
	h.add(h.long.Sum64())
}

// Write takes COPY text, cut anywhere: there a line break always ends a row,
// since those in values are escaped. It never fails.
func (h *RowHash) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			h.write(rest, false)
			break
		}
		h.write(rest[:end], true)
		rest = rest[end:]
	}
	return len(p), nil
}

// String is the sum as manifests have it.
func (h *RowHash) String() string { return fmt.Sprintf("%016x", h.Sum) }

func (h *RowHash) remember(p []byte) {
	for _, b := range p[max(0, len(p)-2):] {
		h.tail[0], h.tail[1] = h.tail[1], b
	}
	h.length += int64(len(p))
}

// isTrailer reports whether p is the field count of -1 that ends a binary COPY.
func isTrailer(p []byte) bool { return len(p) == 2 && p[0] == 0xff && p[1] == 0xff }

func (h *RowHash) add(row uint64) {
	h.Sum += row
	h.Rows++
}
