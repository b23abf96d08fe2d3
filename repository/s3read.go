package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"
)

func (s *s3Store) Open(ctx context.Context, key string) (Reader, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	info, err := s.stat(ctx, key)
	if err != nil {
		return nil, s.named("open", key, err)
	}
	return &s3Reader{store: s, ctx: ctx, key: key, size: info.Size, etag: info.ETag}, nil
}

// s3Reader reads an object, all of it as it was when it was opened. A piece that is read where another has ended comes from the same answer of
// the store, so that a section which is read in small pieces is not a request for each.
type s3Reader struct {
	store *s3Store
	ctx   context.Context
	key   string
	size  int64
	etag  string
	place int64 // of Read

	mu     sync.Mutex
	idle   []*s3Stream // the last used last
	closed bool
}

// s3Stream is an answer of the store that has been read as far as at.
type s3Stream struct {
	body    io.ReadCloser
	at, end int64
	window  int64 // how much was asked for
}

const (
	firstWindow = 256 << 10 // read ahead where somebody begins to read at a place,
	lastWindow  = 64 << 20  // and, after twice as much each time, where somebody goes on
	maxIdle     = 4
)

func (r *s3Reader) Size() int64 { return r.size }

func (r *s3Reader) Read(p []byte) (int, error) {
	n, err := r.readAt(p, r.place, r.size)
	r.place += int64(n)
	return n, err
}

func (r *s3Reader) ReadAt(p []byte, offset int64) (int, error) {
	return r.readAt(p, offset, firstWindow)
}

// readAt fills p. window is how much to ask for if nothing is there yet that can be read on.
func (r *s3Reader) readAt(p []byte, offset, window int64) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case offset < 0:
		return 0, r.store.named("read", r.key, errors.New("negative offset"))
	case offset >= r.size:
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-offset)]
	stream := r.take(offset, window)
	n, err := r.fill(stream, want)
	r.put(stream, err)
	if err != nil {
		if r.ctx.Err() != nil {
			return n, context.Cause(r.ctx)
		}
		return n, r.store.named("read", r.key, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill reads on in a stream. A connection that is cut is followed by another; each byte that comes is reason to be patient again.
func (r *s3Reader) fill(stream *s3Stream, p []byte) (int, error) {
	done := 0
	for try := 1; done < len(p); {
		n, err := r.readOn(stream, p[done:])
		done += n
		switch {
		case n > 0:
			try = 1
		case r.ctx.Err() != nil:
			return done, context.Cause(r.ctx)
		case try >= r.store.retry.tries || !mayPass(err):
			return done, err
		default:
			if err := r.store.retry.wait(r.ctx, try); err != nil {
				return done, err
			}
			try++
		}
	}
	return done, nil
}

// readOn reads once, after another request if the last one's answer has ended.
func (r *s3Reader) readOn(stream *s3Stream, p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if stream.body == nil {
		if err := r.request(stream, int64(len(p))); err != nil {
			return 0, err
		}
	}
	n, err := stream.body.Read(p[:min(int64(len(p)), stream.end-stream.at)])
	stream.at += int64(n)
	if err == nil && stream.at < stream.end {
		return n, nil
	}
	closeErr := stream.close()
	if stream.at == stream.end {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, errors.Join(err, closeErr)
}

// request asks for the stream's window at its place, and for at least as much as is needed now.
func (r *s3Reader) request(stream *s3Stream, need int64) error {
	length := min(max(stream.window, need), r.size-stream.at)
	var o minio.GetObjectOptions
	if err := o.SetRange(stream.at, stream.at+length-1); err != nil {
		return err
	}
	if r.etag != "" {
		if err := o.SetMatchETag(r.etag); err != nil {
			return err
		}
	}
	body, info, _, err := r.store.core.GetObject(r.ctx, r.store.bucket, r.store.prefix+r.key, o)
	if err != nil {
		return err
	}
	if info.Size != length {
		return errors.Join(fmt.Errorf("the store sends %d bytes where %d were asked for", info.Size, length), body.Close())
	}
	stream.body, stream.end = body, stream.at+length
	stream.window = min(max(stream.window, firstWindow)*2, max(lastWindow, stream.window))
	return nil
}

func (s *s3Stream) close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}

// take returns a stream that is at a place.
func (r *s3Reader) take(offset, window int64) *s3Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, stream := range slices.Backward(r.idle) {
		if stream.at == offset {
			r.idle = slices.Delete(r.idle, i, i+1)
			return stream
		}
	}
	return &s3Stream{at: offset, window: window}
}

// put keeps a stream for who reads on.
func (r *s3Reader) put(stream *s3Stream, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.closed || stream.at == r.size {
		_ = stream.close() // what it would have brought is not wanted
		return
	}
	r.idle = append(r.idle, stream)
	if len(r.idle) > maxIdle {
		_ = r.idle[0].close()
		r.idle = slices.Delete(r.idle, 0, 1)
	}
}

// Close must not be called while something reads.
func (r *s3Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, stream := range r.idle {
		_ = stream.close() // all that was asked for has been read
	}
	r.idle = nil
	return nil
}
