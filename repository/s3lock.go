package repository

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// Locks of an S3 store are objects below lockDir that their owners renew. An owner that does not is taken to be dead when the lease is over, by the
// store's clock alone: the date of its answer less the date of the object. Every write is conditional, on there being no object or
// on the ETag of the one that was read, so that of several that write only one succeeds. A lock that was given back
// stays as an object that says so: removing what somebody else may have taken meanwhile cannot be made conditional everywhere.
const s3Lease = 2 * time.Minute

// A lease is the content of a lock.
type lease struct {
	Owner
	Namespace string `json:"pid_namespace,omitempty"` // in which the process id means something
	Token     string `json:"token"`                   // of this lock of this owner
	Seconds   int    `json:"lease_seconds"`
	Renewed   int    `json:"renewed"` // so that each renewal has another ETag
	Released  bool   `json:"released,omitempty"`
}

// heldLease is a lease as it was read.
type heldLease struct {
	lease
	etag string
	age  time.Duration // by the store's clock
}

func (s *s3Store) Lock(ctx context.Context, name string, owner Owner) (Lock, error) {
	if err := checkKey(name); err != nil || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q cannot be the name of a lock", name)
	}
	l := &s3Lock{store: s, name: name, lost: make(chan struct{}), kept: make(chan struct{})}
	l.own = lease{Owner: owner, Namespace: pidNamespace(), Token: rand.Text(), Seconds: int(s.lease / time.Second)}
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	if err := l.checkConditions(ctx); err != nil {
		return nil, err
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.keep(keeping)
	return l, nil
}

// s3Lock is a lease that is renewed until it is released.
type s3Lock struct {
	store *s3Store
	name  string
	own   lease
	etag  string
	since time.Time // the lease is good from then on at least, by this process's clock

	lost chan struct{}
	kept chan struct{} // closed when the lease is not renewed any more
	stop context.CancelFunc
}

func (l *s3Lock) Lost() <-chan struct{} { return l.lost }

// take gets the lock, unless a live owner has it.
func (l *s3Lock) take(ctx context.Context) error {
	var began time.Time
	for try := 1; ; try++ {
		held, err := l.store.readLease(ctx, l.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			held = nil
		case err != nil:
			return err
		case held.Token == l.own.Token: // the answer was lost
			l.etag, l.since = held.etag, began
			return nil
		case !held.isOver(l.own):
			return &LockedError{Held{Name: l.name, Owner: held.Owner}}
		}
		began = time.Now()
		err = l.write(ctx, held)
		if !isLostRace(err) {
			return err
		}
		if try == l.store.retry.tries {
			return l.store.named("lock", l.key(), err)
		}
		if err := l.store.retry.wait(ctx, 1); err != nil {
			return err
		}
	}
}

func (l *s3Lock) key() string { return lockDir + "/" + l.name }

// write puts this owner's lease in the place of one that was read, or where there is none.
func (l *s3Lock) write(ctx context.Context, held *heldLease) error {
	var o minio.PutObjectOptions
	if held == nil {
		o.SetMatchETagExcept("*")
	} else {
		o.SetMatchETag(held.etag)
	}
	began := time.Now()
	etag, err := l.put(ctx, o)
	if err != nil {
		return err
	}
	l.etag, l.since = etag, began
	return nil
}

// put writes the lease under a condition. An error that is no lost race may hide a success.
func (l *s3Lock) put(ctx context.Context, o minio.PutObjectOptions) (string, error) {
	data, err := json.Marshal(l.own)
	if err != nil {
		return "", err
	}
	o.ContentType, o.DisableContentSha256 = "application/json", true
	s := l.store
	md5, sha256 := digests(data)
	var info minio.UploadInfo
	err = s.retry.do(ctx, func(ctx context.Context) (err error) {
		info, err = s.core.PutObject(ctx, s.bucket, s.prefix+l.key(), bytes.NewReader(data), int64(len(data)), md5, sha256, o)
		return err
	})
	switch {
	case isLostRace(err):
		return "", err
	case isUnsupported(err):
		return "", l.refuse()
	case err != nil:
		return "", s.named("write", l.key(), err)
	}
	return info.ETag, nil
}

// isLostRace reports whether somebody else has written first.
func isLostRace(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusPreconditionFailed || answer.StatusCode == http.StatusConflict ||
		answer.Code == "PreconditionFailed" || answer.Code == "ConditionalRequestConflict" || answer.Code == "NoSuchKey")
}

func isUnsupported(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusNotImplemented || answer.Code == "NotImplemented")
}

// isOver reports whether a lease binds nobody any more: it was given back, was not renewed in time, or its owner has died on this very host.
func (h *heldLease) isOver(own lease) bool {
	if h.Released || h.hasDied(own) {
		return true
	}
	length := time.Duration(h.Seconds) * time.Second
	if length <= 0 || length > 24*time.Hour {
		length = s3Lease // unreadable
	}
	return h.age > length+time.Second // dates are of whole seconds
}

// hasDied reports whether an owner was a process that this one would see if it were alive.
func (h *heldLease) hasDied(own lease) bool {
	return h.Host == own.Host && h.Boot != "" && h.Boot == own.Boot && h.Namespace != "" && h.Namespace == own.Namespace && h.PID > 0 &&
		errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH)
}

// pidNamespace names what process ids of this process are relative to, where that can be known.
func pidNamespace() string {
	name, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return name
}

// readLease reads a lock. What is no lease has no owner, and is over some time after it was written.
func (s *s3Store) readLease(ctx context.Context, name string) (*heldLease, error) {
	key := lockDir + "/" + name
	var held *heldLease
	err := s.retry.do(ctx, func(ctx context.Context) error {
		body, info, header, err := s.core.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(body, 1<<16))
		if err := errors.Join(err, body.Close()); err != nil {
			return err
		}
		held = &heldLease{etag: info.ETag}
		if json.Unmarshal(data, &held.lease) != nil {
			held.lease = lease{}
		}
		if now, err := http.ParseTime(header.Get("Date")); err == nil && !info.LastModified.IsZero() {
			held.age = now.Sub(info.LastModified)
		}
		return nil
	})
	if err != nil {
		return nil, s.named("read", key, err)
	}
	return held, nil
}

// checkConditions sees, once for each store, that it honours the conditions of writes. One that does not cannot keep two runs apart, and is refused
// before anything is done. The lock is this process's if the store does, and nobody's if it does not.
func (l *s3Lock) checkConditions(ctx context.Context) error {
	s := l.store
	s.conditions.Lock()
	defer s.conditions.Unlock()
	if s.honours {
		return nil
	}
	var exists, other minio.PutObjectOptions
	exists.SetMatchETagExcept("*")
	other.SetMatchETag("00000000000000000000000000000000")
	for _, o := range []minio.PutObjectOptions{exists, other} {
		_, err := l.put(ctx, o)
		if isLostRace(err) {
			continue
		}
		if err == nil {
			err = l.refuse()
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s3AbortTimeout)
		defer cancel()
		return errors.Join(err, s.Unlock(ctx, l.name))
	}
	s.honours = true
	return nil
}

func (l *s3Lock) refuse() error {
	return fmt.Errorf("lock %s: %s does not honour conditional writes (If-None-Match and If-Match of PUT), without which two runs cannot be kept apart; "+
		"use a store that does", l.store, l.store.endpoint)
}

// keep renews the lease until it is told to stop, or the lease is lost. It gives up well before the lease is over.
func (l *s3Lock) keep(ctx context.Context) {
	defer close(l.kept)
	good := l.store.lease * 3 / 4
	pause := l.store.lease / 4
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(pause, time.Until(l.since.Add(good)))):
		}
		pause = l.store.lease / 4
		attempt, cancel := context.WithDeadline(ctx, l.since.Add(good))
		err := l.renew(attempt)
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrLockLost) || time.Since(l.since) >= good:
			close(l.lost)
			return
		default:
			pause = l.store.lease / 16
		}
	}
}

// renew writes the lease again. It fails with [ErrLockLost] if somebody else has the lock.
func (l *s3Lock) renew(ctx context.Context) error {
	for {
		l.own.Renewed++
		err := l.write(ctx, &heldLease{etag: l.etag})
		if !isLostRace(err) {
			return err
		}
		held, err := l.store.readLease(ctx, l.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return ErrLockLost
		case err != nil:
			return err
		case held.Token != l.own.Token || held.Released:
			return ErrLockLost
		}
		l.etag = held.etag // of a write whose answer was lost
		if err := l.store.retry.wait(ctx, 1); err != nil {
			return err
		}
	}
}

// Release gives the lock back. That it was lost is no error here: who needs it watches Lost.
func (l *s3Lock) Release(ctx context.Context) error {
	l.stop()
	<-l.kept
	select {
	case <-l.lost:
		return nil
	default:
	}
	l.own.Released = true
	if err := l.renew(ctx); err != nil && !errors.Is(err, ErrLockLost) {
		return err
	}
	return nil
}

func (s *s3Store) Locks(ctx context.Context) ([]Held, error) {
	names, err := s.lockNames(ctx)
	if err != nil {
		return nil, err
	}
	var locks []Held
	for _, name := range names {
		held, err := s.readLease(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case !held.Released:
			locks = append(locks, Held{Name: name, Owner: held.Owner})
		}
	}
	return locks, nil
}

func (s *s3Store) lockNames(ctx context.Context) ([]string, error) {
	var names []string
	o := minio.ListObjectsOptions{Prefix: s.prefix + lockDir + "/"}
	err := s.retry.do(ctx, func(ctx context.Context) error {
		names = nil
		for info := range s.core.ListObjectsIter(ctx, s.bucket, o) {
			if info.Err != nil {
				return info.Err
			}
			if name := strings.TrimPrefix(info.Key, o.Prefix); checkKey(name) == nil {
				names = append(names, name)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.named("list", lockDir, err)
	}
	return names, nil
}

// Unlock removes a lock. Whoever holds it loses it when it is to be renewed.
func (s *s3Store) Unlock(ctx context.Context, name string) error {
	key := lockDir + "/" + name
	err := s.retry.do(ctx, func(ctx context.Context) error {
		return s.core.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
	})
	if err != nil {
		return s.named("remove", key, err)
	}
	return nil
}
