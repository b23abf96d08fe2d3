package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

func (s *s3Store) List(ctx context.Context, prefix string) ([]Object, error) {
	var objects []Object
	err := s.list(ctx, prefix, true, func(key string, info minio.ObjectInfo) {
		objects = append(objects, Object{Key: key, Size: info.Size})
	}, func() { objects = nil })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) }) // some stores do not
	return objects, nil
}

func (s *s3Store) Folders(ctx context.Context, prefix string) ([]string, error) {
	folders := map[string]bool{}
	err := s.list(ctx, prefix, false, func(key string, _ minio.ObjectInfo) {
		if name, isFolder := strings.CutSuffix(key[len(prefix):], "/"); isFolder {
			folders[name] = true
		}
	}, func() { clear(folders) })
	if err != nil || len(folders) == 0 {
		return nil, err
	}
	return slices.Sorted(maps.Keys(folders)), nil
}

// list visits what is below a prefix, at any depth or only its first names, but for what is the store's own or could not be a key.
// restart is called before it begins again.
func (s *s3Store) list(ctx context.Context, prefix string, deep bool, visit func(string, minio.ObjectInfo), restart func()) error {
	o := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: deep}
	err := s.retry.do(ctx, func(ctx context.Context) error {
		restart()
		for info := range s.core.ListObjectsIter(ctx, s.bucket, o) {
			if info.Err != nil {
				return info.Err
			}
			key, ok := strings.CutPrefix(info.Key, s.prefix)
			name := key
			if !deep {
				name = strings.TrimSuffix(key, "/")
			}
			if ok && checkKey(name) == nil {
				visit(key, info)
			}
		}
		return ctx.Err() // the end of ctx ends the list
	})
	if err != nil {
		return s.named("list", prefix, err)
	}
	return nil
}

// Remove removes objects a thousand at a time. In a bucket that keeps versions it leaves those of before.
func (s *s3Store) Remove(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(keys, 1000) {
		if err := s.removeBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// removeBatch removes until each key was confirmed.
func (s *s3Store) removeBatch(ctx context.Context, keys []string) error {
	left := slices.Clone(keys)
	err := s.retry.do(ctx, func(ctx context.Context) error {
		var failed []error
		failed, left = s.tryRemove(ctx, left)
		if len(left) == 0 {
			return nil
		}
		if i := slices.IndexFunc(failed, func(err error) bool { return !mayPass(err) }); i >= 0 {
			return failed[i]
		}
		return errors.Join(failed...)
	})
	if err == nil {
		return nil
	}
	if len(left) == 1 {
		return s.named("remove", left[0], err)
	}
	return s.named(fmt.Sprintf("remove %d objects, among them", len(left)), left[0], err)
}

// tryRemove returns what could not be removed, and why. One key goes in a request of its own: everybody knows that one.
func (s *s3Store) tryRemove(ctx context.Context, keys []string) (failed []error, left []string) {
	if len(keys) == 1 {
		if err := s.core.RemoveObject(ctx, s.bucket, s.prefix+keys[0], minio.RemoveObjectOptions{}); err != nil {
			return []error{err}, keys
		}
		return nil, nil
	}
	objects := func(yield func(minio.ObjectInfo) bool) {
		for _, key := range keys {
			if !yield(minio.ObjectInfo{Key: s.prefix + key}) {
				return
			}
		}
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, objects, minio.RemoveObjectsOptions{})
	if err != nil {
		return []error{err}, keys
	}
	removed := map[string]bool{}
	for result := range results {
		if result.Err != nil {
			failed = append(failed, result.Err)
			continue
		}
		removed[result.ObjectName] = true
	}
	for _, key := range keys {
		if !removed[s.prefix+key] {
			left = append(left, key)
		}
	}
	if len(left) > 0 && len(failed) == 0 {
		failed = []error{fmt.Errorf("the store did not confirm it: %w", io.ErrUnexpectedEOF)}
	}
	return failed, left
}

// Sweep aborts the uploads below a prefix. Their parts are seen in no list, and paid for.
func (s *s3Store) Sweep(ctx context.Context, prefix string) error {
	uploads, err := s.uploads(ctx, prefix)
	if err != nil {
		return s.named("list uploads below", prefix, err)
	}
	for _, upload := range uploads {
		if err := s.abortUpload(ctx, upload.Key, upload.UploadID); err != nil {
			return s.named("abort upload of", strings.TrimPrefix(upload.Key, s.prefix), err)
		}
	}
	return nil
}

func (s *s3Store) uploads(ctx context.Context, prefix string) ([]minio.ObjectMultipartInfo, error) {
	var uploads []minio.ObjectMultipartInfo
	var key, id string
	for {
		var page minio.ListMultipartUploadsResult
		err := s.retry.do(ctx, func(ctx context.Context) (err error) {
			page, err = s.core.ListMultipartUploads(ctx, s.bucket, s.prefix+prefix, key, id, "", 1000)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, upload := range page.Uploads {
			if strings.HasPrefix(upload.Key, s.prefix+prefix) {
				uploads = append(uploads, upload)
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == id {
			return uploads, nil
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
}
