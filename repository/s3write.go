package repository

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
)

// Parts of an upload, by the limits of Amazon that other stores share.
const (
	minPart  = 5 << 20
	maxPart  = 5 << 30
	maxParts = 10_000
)

// partPlan says how large the parts of an object are: equal parts for as many bytes as were expected, which some stores insist on, and
// then parts that double ten times, so that any object fits. What nobody has told the size of starts small and begins to double after
// a thousand parts. Two parts are in memory for each object that is being written.
type partPlan struct {
	size   int64
	steady int // so many parts have that size
}

func planParts(expected int64) partPlan {
	if expected < 0 {
		return partPlan{size: minPart, steady: maxParts / 10}
	}
	const steady = maxParts * 9 / 10
	size := (expected/steady + 1<<20) &^ (1<<20 - 1) // rounded up to whole MiB
	return partPlan{size: min(max(size, minPart), maxPart), steady: steady}
}

// part is the size of part n, which counts from 0.
func (p partPlan) part(n int) int64 {
	if n < p.steady {
		return p.size
	}
	doublings := 1 + (n-p.steady)/((maxParts-p.steady)/10)
	return min(p.size<<doublings, maxPart)
}

// tokenHeader marks an object with the attempt that wrote it. An answer that was lost leaves no other way to know whose it is.
const tokenHeader = "Pgberth-Token"

func (s *s3Store) Create(ctx context.Context, key string, size int64) (Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	sending, cancel := context.WithCancel(ctx)
	return &s3Writer{store: s, ctx: sending, cancel: cancel, key: key, token: rand.Text(), plan: planParts(size)}, nil
}

// s3Writer sends a part while the next one is being filled. What fits into one part goes in a single request.
type s3Writer struct {
	store  *s3Store
	ctx    context.Context
	cancel context.CancelFunc
	key    string
	token  string
	plan   partPlan

	filling, sent []byte // sent was sent, or is being sent
	size          int64

	upload  string // the ID, once there is one
	parts   []minio.CompletePart
	sending chan error // of the part that is being sent; nil if there is none
	err     error      // that has ended the writing
	ended   bool
}

func (w *s3Writer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		limit := w.plan.part(len(w.parts))
		if int64(len(w.filling)) == limit {
			w.err = w.send()
			continue
		}
		n := min(limit-int64(len(w.filling)), int64(len(p)))
		w.fill(p[:n], limit)
		p, written = p[n:], written+int(n)
	}
	return written, w.err
}

// fill appends to the part, in memory that grows with it: most objects are small.
func (w *s3Writer) fill(p []byte, limit int64) {
	if need := len(w.filling) + len(p); need > cap(w.filling) {
		w.filling = slices.Grow(w.filling, int(min(limit, max(int64(need), 2*int64(cap(w.filling)))))-len(w.filling))
	}
	w.filling = append(w.filling, p...)
	w.size += int64(len(p))
}

// send starts to send the part that is full, after the one before has been sent.
func (w *s3Writer) send() error {
	if err := w.wait(); err != nil {
		return err
	}
	if len(w.parts) == maxParts {
		return w.store.named("write", w.key, fmt.Errorf("it has more than %d parts", maxParts))
	}
	if err := w.start(); err != nil {
		return err
	}
	number := len(w.parts) + 1
	w.parts = append(w.parts, minio.CompletePart{PartNumber: number})
	w.filling, w.sent = w.sent[:0], w.filling
	w.sending = make(chan error, 1)
	go func() {
		etag, err := w.sendPart(number, w.sent)
		w.parts[number-1].ETag = etag // read after sending
		w.sending <- err
	}()
	return nil
}

// wait waits for the part that is being sent.
func (w *s3Writer) wait() error {
	if w.sending == nil {
		return nil
	}
	err := <-w.sending
	w.sending = nil
	return err
}

func (w *s3Writer) options() minio.PutObjectOptions {
	return minio.PutObjectOptions{UserMetadata: map[string]string{tokenHeader: w.token}, DisableContentSha256: true}
}

// start begins a multipart upload, if there is none.
func (w *s3Writer) start() error {
	if w.upload != "" {
		return nil
	}
	s := w.store
	err := s.retry.do(w.ctx, func(ctx context.Context) (err error) {
		w.upload, err = s.core.NewMultipartUpload(ctx, s.bucket, s.prefix+w.key, w.options())
		if err == nil && w.upload == "" {
			err = errors.New("the upload that was begun has no ID")
		}
		return err
	})
	if err != nil {
		return s.named("begin upload of", w.key, err)
	}
	return nil
}

// sendPart sends a part. That the client library is not to sum it up means that it need not.
func (w *s3Writer) sendPart(number int, data []byte) (string, error) {
	s := w.store
	md5, sha256 := digests(data)
	var part minio.ObjectPart
	err := s.retry.do(w.ctx, func(ctx context.Context) (err error) {
		part, err = s.core.PutObjectPart(ctx, s.bucket, s.prefix+w.key, w.upload, number, bytes.NewReader(data), int64(len(data)),
			minio.PutObjectPartOptions{Md5Base64: md5, Sha256Hex: sha256, DisableContentSha256: true})
		return err
	})
	if err != nil {
		return "", s.named(fmt.Sprintf("upload part %d of", number), w.key, err)
	}
	return part.ETag, nil
}

// digests are sent with what they are of, in signed headers. Every store compares the SHA-256 with what has arrived, since the signature covers it;
// buckets that keep their objects for a time ask for the MD5.
func digests(data []byte) (md5Base64, sha256Hex string) {
	m, s := md5.Sum(data), sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(m[:]), hex.EncodeToString(s[:])
}

// Commit returns nil when the store has shown that it has the object, whole. After an error the object may have come there if an
// answer was lost, and then whole too.
func (w *s3Writer) Commit() error {
	if w.ended {
		return w.store.named("write", w.key, errors.New("it was ended before"))
	}
	err := w.err
	if err == nil && w.ctx.Err() != nil {
		err = context.Cause(w.ctx)
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	w.end()
	return nil
}

func (w *s3Writer) end() {
	w.ended = true
	w.cancel()
	w.filling, w.sent = nil, nil
}

func (w *s3Writer) commit() error {
	var etag string
	var err error
	if w.upload == "" {
		etag, err = w.put()
	} else {
		etag, err = w.complete()
	}
	if err != nil {
		return err
	}
	return w.look(etag)
}

// put sends an object of one part.
func (w *s3Writer) put() (string, error) {
	s := w.store
	md5, sha256 := digests(w.filling)
	var info minio.UploadInfo
	err := s.retry.do(w.ctx, func(ctx context.Context) (err error) {
		info, err = s.core.PutObject(ctx, s.bucket, s.prefix+w.key, bytes.NewReader(w.filling), int64(len(w.filling)), md5, sha256, w.options())
		return err
	})
	if err != nil {
		return "", s.named("write", w.key, err)
	}
	return info.ETag, nil
}

// complete sends the last part and has the store make an object of the parts. An upload that is not there any more may
// have been completed by a request whose answer was lost; then the ETag is empty.
func (w *s3Writer) complete() (string, error) {
	if err := w.send(); err != nil {
		return "", err
	}
	if err := w.wait(); err != nil {
		return "", err
	}
	s := w.store
	var info minio.UploadInfo
	err := s.retry.do(w.ctx, func(ctx context.Context) (err error) {
		info, err = s.core.CompleteMultipartUpload(ctx, s.bucket, s.prefix+w.key, w.upload, w.parts, minio.PutObjectOptions{})
		return err
	})
	if err != nil && !isCode(err, "NoSuchUpload") {
		return "", s.named("complete upload of", w.key, err)
	}
	return info.ETag, nil
}

// look asks the store what it has: it must be what was written, by size, and by ETag or, if that is not known, by token.
func (w *s3Writer) look(etag string) error {
	s := w.store
	info, err := s.stat(w.ctx, w.key)
	if err != nil {
		return s.named("look at", w.key, err)
	}
	switch {
	case info.Size != w.size:
		err = fmt.Errorf("the store has %d bytes of the %d that were written", info.Size, w.size)
	case info.ETag != etag && info.UserMetadata[tokenHeader] != w.token:
		err = errors.New("the store has another object there than was written")
	}
	if err != nil {
		return s.named("write", w.key, err)
	}
	return nil
}

func (s *s3Store) stat(ctx context.Context, key string) (info minio.ObjectInfo, err error) {
	err = s.retry.do(ctx, func(ctx context.Context) (err error) {
		info, err = s.core.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
		return err
	})
	return info, err
}

// Abort gives up what was sent, after the context has ended too. What it cannot remove is for Sweep.
func (w *s3Writer) Abort() error {
	if w.ended {
		return nil
	}
	w.cancel()
	_ = w.wait() // of a part that is not wanted
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), s3AbortTimeout)
	defer cancel()
	defer w.end()
	if w.upload == "" {
		return nil
	}
	if err := w.store.abortUpload(ctx, w.store.prefix+w.key, w.upload); err != nil {
		return w.store.named("abort upload of", w.key, err)
	}
	return nil
}

// s3AbortTimeout bounds what is done after a run was told to end.
const s3AbortTimeout = 30 * time.Second

// abortUpload removes an upload with its parts. One that is not there is no error.
func (s *s3Store) abortUpload(ctx context.Context, object, upload string) error {
	err := s.retry.do(ctx, func(ctx context.Context) error {
		return s.core.AbortMultipartUpload(ctx, s.bucket, object, upload)
	})
	if isCode(err, "NoSuchUpload") {
		return nil
	}
	return err
}

var _ io.Writer = (*s3Writer)(nil)
