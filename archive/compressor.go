package archive

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Codec is a compression and its level. Level 0 is the compression's default.
type Codec struct {
	Compression Compression
	Level       int
}

// ParseCodec reads none, gzip[:LEVEL] or zstd[:LEVEL].
func ParseCodec(s string) (Codec, error) {
	name, level, hasLevel := strings.Cut(s, ":")
	c := Codec{}
	limit := 0
	switch name {
	case "none":
	case "gzip":
		c.Compression, limit = CompressionGzip, 9
	case "zstd":
		c.Compression, limit = CompressionZstd, 22
	default:
		return Codec{}, fmt.Errorf("compression %q is unknown: use none, gzip, gzip:1 to gzip:9, zstd, or zstd:1 to zstd:22", s)
	}
	if hasLevel {
		n, err := strconv.Atoi(level)
		if err != nil || n < 1 || n > limit {
			return Codec{}, fmt.Errorf("compression %q: level must be from 1 to %d", s, limit)
		}
		c.Level = n
	}
	return c, nil
}

func (c Codec) String() string {
	if c.Level == 0 {
		return c.Compression.String()
	}
	return c.Compression.String() + ":" + strconv.Itoa(c.Level)
}

func (c Codec) zstdLevel() zstd.EncoderLevel {
	if c.Level == 0 {
		return zstd.SpeedFastest
	}
	return zstd.EncoderLevelFromZstd(c.Level)
}

func (c Codec) zlibLevel() int {
	if c.Level == 0 {
		return zlib.DefaultCompression
	}
	return c.Level
}

// blockSize is how many bytes of rows are compressed together. Smaller blocks compress
// worse, larger ones take memory for each stream.
const blockSize = 1 << 20

// A Compressor compresses blocks of rows, several at once. One serves all tables of an
// archive, so that its workers bound what is in flight. It is safe for concurrent use.
type Compressor struct {
	codec  Codec
	slots  chan struct{} // one for each block being compressed or waiting to be written
	zstd   *zstd.Encoder
	blocks sync.Pool // of *block
	gzips  sync.Pool // of *gzip.Writer
}

// block is rows on their way into a file.
type block struct {
	raw []byte
	out []byte
}

// NewCompressor makes a Compressor that works on as many blocks at once as given.
func NewCompressor(codec Codec, workers int) (*Compressor, error) {
	workers = max(workers, 1)
	c := &Compressor{codec: codec, slots: make(chan struct{}, workers)}
	switch codec.Compression {
	case CompressionNone, CompressionGzip:
	case CompressionZstd:
		var err error
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(workers), zstd.WithEncoderLevel(codec.zstdLevel()),
			zstd.WithEncoderCRC(true), zstd.WithWindowSize(max(blockSize, zstd.MinWindowSize)))
		if err != nil {
			return nil, fmt.Errorf("set up compression %s: %w", codec, err)
		}
	default:
		return nil, fmt.Errorf("compression %s cannot be written", codec)
	}
	if _, err := c.newGzip(io.Discard); err != nil {
		return nil, fmt.Errorf("set up compression %s: %w", codec, err)
	}
	return c, nil
}

// Codec returns how the compressor compresses.
func (c *Compressor) Codec() Codec { return c.codec }

func (c *Compressor) block() *block {
	if b, ok := c.blocks.Get().(*block); ok {
		return b
	}
	return &block{raw: make([]byte, 0, blockSize+blockSize/8)}
}

// release gives a block back, unless a long row has made it too large to keep.
func (c *Compressor) release(b *block) {
	if cap(b.raw) <= 2*blockSize {
		b.raw, b.out = b.raw[:0], b.out[:0]
		c.blocks.Put(b)
	}
}

// compress fills b.out with a frame, or gzip member, that stands for itself. Without compression
// it leaves the block alone.
func (c *Compressor) compress(b *block) error {
	switch c.codec.Compression {
	case CompressionZstd:
		b.out = c.zstd.EncodeAll(b.raw, b.out[:0])
		return nil
	case CompressionGzip:
		buf := bytes.NewBuffer(b.out[:0])
		w, err := c.newGzip(buf)
		if err != nil {
			return err
		}
		defer c.gzips.Put(w)
		if _, err := w.Write(b.raw); err != nil {
			return err
		}
		err = w.Close()
		b.out = buf.Bytes()
		return err
	}
	return nil
}

func (c *Compressor) newGzip(w io.Writer) (*gzip.Writer, error) {
	if g, ok := c.gzips.Get().(*gzip.Writer); ok {
		g.Reset(w)
		return g, nil
	}
	return gzip.NewWriterLevel(w, c.codec.zlibLevel())
}

// stream compresses what is too long for a block into one frame or member.
func (c *Compressor) stream(w io.Writer) (io.WriteCloser, error) {
	switch c.codec.Compression {
	case CompressionZstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(c.codec.zstdLevel()),
			zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(4<<20))
	case CompressionGzip:
		return gzip.NewWriterLevel(w, c.codec.zlibLevel())
	}
	return nopWriteCloser{w}, nil
}

type nopWriteCloser struct{ io.Writer }

func (nopWriteCloser) Close() error { return nil }
