package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// maxWindow is the largest zstd window the stock tools accept; a frame that wants more is refused.
const maxWindow = 1 << 27

// readBuffer is how much of a file is read at once.
const readBuffer = 128 << 10

// suffixes are what compression adds to the names of files in a directory archive, in the
// order in which a file is looked for.
var suffixes = []string{"", ".gz", ".lz4", ".zst"}

func (c Compression) known() bool { return c <= CompressionZstd }

// suffix is what the compression adds to file names.
func (c Compression) suffix() string {
	if !c.known() {
		return ""
	}
	return suffixes[c]
}

// splitSuffix cuts the compression suffix off a file name.
func splitSuffix(name string) (base string, c Compression) {
	for i, s := range suffixes[1:] {
		if base, ok := strings.CutSuffix(name, s); ok {
			return base, Compression(i + 1)
		}
	}
	return name, CompressionNone
}

// decompress reads one compressed stream of a custom archive. There gzip means a zlib stream.
func decompress(r io.Reader, c Compression) (io.ReadCloser, error) {
	if c == CompressionGzip {
		return zlib.NewReader(r)
	}
	return decompressFile(r, c)
}

// decompressFile reads a file of a directory archive: any number of gzip members,
// or of lz4 or zstd frames, and nothing else. pg_dump leaves the file of an empty large object
// empty with lz4 and zstd.
func decompressFile(r io.Reader, c Compression) (io.ReadCloser, error) {
	if c == CompressionNone {
		return io.NopCloser(r), nil
	}
	buffered := bufio.NewReaderSize(r, readBuffer) // r itself if it is one
	if _, err := buffered.Peek(1); errors.Is(err, io.EOF) && c != CompressionGzip {
		return io.NopCloser(buffered), nil
	}
	switch c {
	case CompressionGzip:
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, unexpectedEOF(err)
		}
		return z, nil
	case CompressionLZ4:
		return io.NopCloser(lz4.NewReader(buffered)), nil
	case CompressionZstd:
		return newZstdReader(buffered)
	}
	return nil, fmt.Errorf("%s is not supported", c)
}

// newZstdReader decodes on the caller's goroutine.
func newZstdReader(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
