package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The seek table of the zstd seekable format: a skippable frame at the end of a file, which
// lists the sizes of all frames before it. Decompressors that do not know it pass over it.
// https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
const (
	skippableMagic  = 0x184D2A5E
	seekTableMagic  = 0x8F92EAB1
	skippableHeader = 8 // magic, size
	seekTableFooter = 9 // frame count, descriptor, magic
	checksumFlag    = 1 << 7
	maxFrames       = 1 << 27 // the format's own limit
)

// frame is one line of a seek table.
type frame struct {
	offset   int64 // in the file
	size     uint32
	rawSize  uint32
	checksum uint32 // low half of the xxHash64 of the content
}

func (f frame) end() int64 { return f.offset + int64(f.size) }

// appendSeekTable appends the skippable frame for frames that follow each other from the
// start of a file.
func appendSeekTable(dst []byte, frames []frame) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, skippableMagic)
	dst = le.AppendUint32(dst, uint32(12*len(frames)+seekTableFooter))
	for _, f := range frames {
		dst = le.AppendUint32(dst, f.size)
		dst = le.AppendUint32(dst, f.rawSize)
		dst = le.AppendUint32(dst, f.checksum)
	}
	dst = le.AppendUint32(dst, uint32(len(frames)))
	dst = append(dst, checksumFlag)
	return le.AppendUint32(dst, seekTableMagic)
}

var errSeekTable = errors.New("the seek table does not fit the file")

// readSeekTable reads the seek table at the end of a file. It returns nil where there is none, and an error
// where there is one whose frames do not fill the file.
func readSeekTable(r io.ReaderAt, size int64) ([]frame, error) {
	le := binary.LittleEndian
	var footer [seekTableFooter]byte
	if size < skippableHeader+seekTableFooter {
		return nil, nil
	}
	if err := readFullAt(r, footer[:], size-seekTableFooter); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	if le.Uint32(footer[5:]) != seekTableMagic {
		return nil, nil
	}
	count, entrySize := int64(le.Uint32(footer[:])), int64(8)
	if footer[4]&checksumFlag != 0 {
		entrySize = 12
	}
	start := size - seekTableFooter - count*entrySize - skippableHeader
	corrupt := func(at int64) error { return &CorruptError{Offset: at, Err: errSeekTable} }
	if footer[4]&^checksumFlag != 0 || count > maxFrames || start < 0 {
		return nil, corrupt(size - seekTableFooter)
	}
	table := make([]byte, skippableHeader+count*entrySize)
	if err := readFullAt(r, table, start); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	if le.Uint32(table) != skippableMagic || int64(le.Uint32(table[4:])) != count*entrySize+seekTableFooter {
		return nil, corrupt(start)
	}
	frames := make([]frame, count)
	var offset int64
	for i := range frames {
		line := table[skippableHeader+int64(i)*entrySize:]
		f := frame{offset: offset, size: le.Uint32(line), rawSize: le.Uint32(line[4:])}
		if entrySize == 12 {
			f.checksum = le.Uint32(line[8:])
		}
		frames[i] = f
		offset = f.end()
	}
	if offset != start {
		return nil, corrupt(start)
	}
	return frames, nil
}

// readFullAt fills p. A reader may say that the end was reached together with the last bytes.
func readFullAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return unexpectedEOF(err)
}

// newFrame describes a frame of compressed data with a content checksum, which is
// the frame's last four bytes.
func newFrame(offset int64, compressed int64, tail []byte, raw int64) (frame, error) {
	if compressed > math.MaxUint32 || raw > math.MaxUint32 {
		return frame{}, errors.New("a row of 4 GB or more does not fit a frame")
	}
	return frame{
		offset:   offset,
		size:     uint32(compressed),
		rawSize:  uint32(raw),
		checksum: binary.LittleEndian.Uint32(tail[len(tail)-4:]),
	}, nil
}
