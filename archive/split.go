package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// SplitTable implements [Splitter]. A table can be split when pgberth wrote it: then its file is a row of
// frames, each of whole rows, with a seek table. Readers take the next frame that none of
// the others has taken, so a slow one holds up nobody.
func (a *memberArchive) SplitTable(ctx context.Context, e *Entry, n int) ([]io.ReadCloser, error) {
	if a.manifest != nil && n > 1 {
		readers, err := a.split(ctx, e, n)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Name(), err)
		}
		if readers != nil {
			return readers, nil
		}
	}
	r, err := a.TableData(ctx, e)
	if err != nil {
		return nil, err
	}
	return []io.ReadCloser{r}, nil
}

// split returns no readers where the file has no seek table or too few frames.
func (a *memberArchive) split(ctx context.Context, e *Entry, n int) ([]io.ReadCloser, error) {
	if !isFlatName(e.FileName) || !e.hasTerminator() {
		return nil, nil
	}
	full, size, err := a.find(e.FileName)
	if err != nil {
		return nil, err
	}
	if _, c := splitSuffix(full); c != CompressionZstd {
		return nil, nil
	}
	f, err := a.open(ctx, full)
	if err != nil {
		return nil, err
	}
	frames, err := rowFrames(f, size)
	if err != nil || len(frames) < 2 {
		f.Close() // only read from
		return nil, inFile(full, err)
	}
	q := &frameQueue{ctx: ctx, name: full, frames: frames}
	readers := []io.ReadCloser{&frameReader{q: q, file: f}}
	for range min(n, len(frames)) - 1 {
		f, err := a.open(ctx, full) // of its own, so that readers do not wait for each other
		if err != nil {
			for _, r := range readers {
				r.Close() // only read from
			}
			return nil, err
		}
		readers = append(readers, &frameReader{q: q, file: f})
	}
	return readers, nil
}

// frameBuffer is how much of a frame is read at once. Most frames are smaller: in a bucket, where each read is a request, one
// is enough for them.
const frameBuffer = 1 << 20

// rowFrames returns the frames that hold rows: all but the last, which must hold the
// terminator and nothing else.
func rowFrames(f io.ReaderAt, size int64) ([]frame, error) {
	frames, err := readSeekTable(f, size)
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	last := frames[len(frames)-1]
	r := &frameReader{q: &frameQueue{ctx: context.Background(), frames: []frame{last}}, file: nopReaderAt{f}}
	defer r.Close() // only read from
	end, err := io.ReadAll(io.LimitReader(r, int64(len(terminator))+1))
	if err != nil {
		return nil, err
	}
	if string(end) != terminator {
		return nil, &CorruptError{Offset: last.offset, Err: errNoTerminator}
	}
	return frames[:len(frames)-1], nil
}

// nopReaderAt stays open.
type nopReaderAt struct{ io.ReaderAt }

func (nopReaderAt) Close() error { return nil }

// frameQueue hands out the frames of a file.
type frameQueue struct {
	ctx    context.Context
	name   string
	frames []frame
	next   atomic.Int64
}

// A frameReader reads frame after frame from a queue that it shares with others.
type frameReader struct {
	q    *frameQueue
	file interface {
		io.ReaderAt
		io.Closer
	}
	dec     *zstd.Decoder
	input   *bufio.Reader
	current frame
	left    int64 // of the current frame
	last    byte
	err     error
	closed  bool
}

func (r *frameReader) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	r.err = inFile(r.q.name, err)
	return n, r.err
}

func (r *frameReader) read(p []byte) (int, error) {
	for r.left == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n, err := r.dec.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if n > 0 {
		r.last = p[n-1]
	}
	if err != nil && !(errors.Is(err, io.EOF) && r.left == 0) {
		return n, r.corrupt(unexpectedEOF(err))
	}
	if r.left == 0 {
		return n, r.finish()
	}
	return n, nil
}

// advance starts on the next free frame.
func (r *frameReader) advance() error {
	if err := r.q.ctx.Err(); err != nil {
		return context.Cause(r.q.ctx)
	}
	i := r.q.next.Add(1) - 1
	if i >= int64(len(r.q.frames)) {
		return io.EOF
	}
	f := r.q.frames[i]
	section := io.NewSectionReader(r.file, f.offset, int64(f.size))
	if r.dec == nil {
		r.input = bufio.NewReaderSize(section, frameBuffer)
		dec, err := zstd.NewReader(r.input, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		r.dec = dec
	} else {
		r.input.Reset(section)
		if err := r.dec.Reset(r.input); err != nil {
			return err
		}
	}
	r.current, r.left = f, int64(f.rawSize)
	if r.left == 0 {
		return r.finish()
	}
	return nil
}

// finish proves that the frame is whole: it ends where the seek table says, its checksum
// holds, and its last row is complete.
func (r *frameReader) finish() error {
	var more [1]byte
	if n, err := r.dec.Read(more[:]); n > 0 {
		return r.corrupt(errSeekTable)
	} else if !errors.Is(err, io.EOF) {
		return r.corrupt(err)
	}
	if r.current.rawSize > 0 && r.last != '\n' {
		return r.corrupt(errors.New("a frame ends in the middle of a row"))
	}
	return nil
}

func (r *frameReader) corrupt(err error) error {
	return &CorruptError{Offset: r.current.offset, Err: fmt.Errorf("decompress: %w", err)}
}

// Close closes the file.
func (r *frameReader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.dec != nil {
		r.dec.Close()
	}
	return r.file.Close()
}
