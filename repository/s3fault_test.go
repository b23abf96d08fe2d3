package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// The objects of a run against a store that fails: one that goes in parts, and a small one that is published last.
const (
	faultBig   = minPart + 4321
	faultSmall = 1234
)

// aRun does what a backup does, and what forget does afterwards.
func aRun(ctx context.Context, s Store) (err error) {
	lock, err := s.Lock(ctx, "shop", testOwner(s, "pgberth dump"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	if err := s.Sweep(ctx, "shop/"); err != nil {
		return err
	}
	for key, size := range map[string]int64{"shop/2/big": faultBig, "shop/2/small": faultSmall} {
		if err := create(ctx, s, key, size); err != nil {
			return err
		}
	}
	objects, err := s.List(ctx, "shop/2/")
	if err != nil {
		return err
	}
	if len(objects) != 2 || objects[0].Size != faultBig || objects[1].Size != faultSmall {
		return fmt.Errorf("wrong list: %+v", objects)
	}
	folders, err := s.Folders(ctx, "shop/")
	if err != nil {
		return err
	}
	if !slices.Equal(folders, []string{"1", "2"}) {
		return fmt.Errorf("wrong folders: %q", folders)
	}
	r, err := s.Open(ctx, "shop/2/big")
	if err != nil {
		return err
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != faultBig {
		return fmt.Errorf("read %d: %w", n, err)
	}
	if _, err := r.ReadAt(make([]byte, 100), 1000); err != nil {
		return err
	}
	return s.Remove(ctx, "shop/2/big", "shop/2/small")
}

func create(ctx context.Context, s Store, key string, size int64) error {
	w, err := s.Create(ctx, key, size)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, noise(uint64(size), size)); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

// TestS3Faults fails every request of a run in turn: once, and the run must succeed; from then on, and it must fail. Whatever
// happens, what was there before is untouched, all that is listed is whole, and the next run needs nobody's help.
func TestS3Faults(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	direct := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/faults")
	put(t, direct, "shop/1/old", "old")
	run := func() error {
		s, err := newS3(direct.String(), S3Options{Endpoint: proxy.Endpoint})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.retry = quickRetry
		s.retry.tries = 4
		return aRun(t.Context(), s)
	}
	proxy.Break(nil)
	if err := run(); err != nil {
		t.Fatal(err)
	}
	requests := proxy.Count()
	if requests < 15 {
		t.Fatalf("only %d requests", requests)
	}
	faults := []pgtest.Fault{pgtest.Answer500, pgtest.Answer503, pgtest.Cut, pgtest.CutAnswer, pgtest.CutAnswerHalf, pgtest.Delay}
	runs := 0
	for k := 1; k <= requests; k++ {
		for i, fault := range faults {
			if !pgtest.Soak() && i != k%len(faults) {
				continue
			}
			runs += 2
			proxy.Break(func(n int, _ *http.Request) pgtest.Fault {
				if n == k {
					return fault
				}
				return pgtest.Pass
			})
			if err := run(); err != nil {
				t.Errorf("%s at request %d: %v", fault, k, err)
			}
			afterFault(t, direct, fmt.Sprintf("%s at request %d", fault, k))
			proxy.Break(func(n int, _ *http.Request) pgtest.Fault {
				if n >= k {
					return fault
				}
				return pgtest.Pass
			})
			err := run()
			if fault == pgtest.Delay && err != nil || err == nil && breaksAll(fault) {
				t.Errorf("%s from request %d on: %v", fault, k, err)
			}
			afterFault(t, direct, fmt.Sprintf("%s from request %d on", fault, k))
		}
	}
	t.Logf("%d runs of %d requests", runs, requests)
}

// breaksAll reports whether no request can succeed under a fault. What has only half of its answer may be complete with that.
func breaksAll(fault pgtest.Fault) bool {
	return fault != pgtest.Delay && fault != pgtest.CutAnswerHalf
}

// afterFault looks at what a run has left, and tidies up as the next run does.
func afterFault(t *testing.T, s *s3Store, what string) {
	t.Helper()
	want := map[string]int64{"shop/2/big": faultBig, "shop/2/small": faultSmall}
	objects, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	old := false
	for _, o := range objects {
		if o.Key == "shop/1/old" {
			old = get(t, s, o.Key) == "old"
			continue
		}
		if err := compareNoise(t, s, o.Key, want[o.Key]); err != nil {
			t.Errorf("%s: %s is listed: %v", what, o.Key, err)
		}
	}
	if !old {
		t.Errorf("%s: the old object is damaged or gone", what)
	}
	// This process lives, so its lock does.
	if err := errors.Join(s.Unlock(t.Context(), "shop"), s.Sweep(t.Context(), "shop/"), s.Remove(t.Context(), "shop/2/big", "shop/2/small")); err != nil {
		t.Fatal(err)
	}
	wantUploads(t, s, 0)
}
