package repository

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestPartPlan(t *testing.T) {
	const tera = 1 << 40
	for _, expected := range []int64{-1, 0, 1, minPart, 45 << 30, 47 << 30, tera, 5 * tera, 40 * tera} {
		plan := planParts(expected)
		var total, last int64
		equal := 0
		for n := range maxParts {
			size := plan.part(n)
			if size < minPart || size > maxPart || size < last {
				t.Fatalf("%d expected: part %d has %d bytes after one of %d", expected, n, size, last)
			}
			if size == plan.part(0) {
				equal++
			}
			total, last = total+size, size
		}
		if total < max(5*tera, expected) && last < maxPart {
			t.Errorf("%d expected: only %d bytes fit", expected, total)
		}
		if expected >= 0 && int64(equal)*plan.part(0) < min(expected, maxPart*9000) {
			t.Errorf("%d expected: %d equal parts of %d are fewer", expected, equal, plan.part(0))
		}
	}
}

// noise is bytes of a seed, which cost nothing to keep.
func noise(seed uint64, n int64) io.Reader {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

// store writes noise, and returns the writer before it is committed.
func store(t testing.TB, s Store, key string, n, expected int64) Writer {
	t.Helper()
	w, err := s.Create(t.Context(), key, expected)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, noise(uint64(n), n)); err != nil {
		t.Fatal(err)
	}
	return w
}

func wantNoise(t testing.TB, s Store, key string, n int64) {
	t.Helper()
	if err := compareNoise(t, s, key, n); err != nil {
		t.Errorf("%s: %v", key, err)
	}
}

func compareNoise(t testing.TB, s Store, key string, n int64) error {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	want, _ := io.ReadAll(noise(uint64(n), n))
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes are not the %d that were written", len(got), len(want))
	}
	return nil
}

func TestS3Parts(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/parts")
	for i, size := range []int64{minPart - 1, minPart, minPart + 1, 2 * minPart, 2*minPart + 12345} {
		key := fmt.Sprintf("shop/1/%d", size)
		w := store(t, s, key, size, []int64{-1, 0, size, 3 * size}[i%4])
		if list := keys(t, s, ""); len(list) != i {
			t.Errorf("before Commit: %q", list)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		wantNoise(t, s, key, size)
	}
	wantUploads(t, s, 0)
	if err := store(t, s, "shop/2/x", 3*minPart, -1).Abort(); err != nil {
		t.Error(err)
	}
	wantUploads(t, s, 0)
}

func wantUploads(t testing.TB, s *s3Store, want int) {
	t.Helper()
	uploads, err := s.uploads(t.Context(), "")
	if err != nil || len(uploads) != want {
		t.Errorf("%d uploads left, want %d; %v", len(uploads), want, err)
	}
}

// TestS3Sweep leaves uploads as a killed run does.
func TestS3Sweep(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/sweep")
	for _, key := range []string{"shop/1/a", "shop/1/b", "shop-2/1/a"} {
		w := store(t, s, key, minPart+1, -1).(*s3Writer)
		if err := w.wait(); err != nil {
			t.Fatal(err)
		}
		w.end()
	}
	wantUploads(t, s, 3)
	if err := openTestS3(t, server.Endpoint, s.String()).Sweep(t.Context(), "shop/"); err != nil {
		t.Fatal(err)
	}
	wantUploads(t, s, 1)
	wantKeys(t, s, "")
}

// TestS3LostAnswers loses the answers of requests that did their work.
func TestS3LostAnswers(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	s := openTestS3(t, proxy.Endpoint, "s3://"+server.Bucket+"/lost")
	for _, test := range []struct {
		method, query string
		size          int64
	}{{http.MethodPut, "", 5}, {http.MethodPost, "uploadId=", minPart + 5}, {http.MethodPut, "partNumber=", minPart + 6}} {
		lost := false
		proxy.Break(func(_ int, r *http.Request) pgtest.Fault {
			if lost || r.Method != test.method || !strings.Contains(r.URL.RawQuery, test.query) {
				return pgtest.Pass
			}
			lost = true
			return pgtest.CutAnswer
		})
		key := fmt.Sprintf("shop/1/%d", test.size)
		if err := store(t, s, key, test.size, -1).Commit(); err != nil || !lost {
			t.Errorf("%s %s: %v, answer lost: %t", test.method, test.query, err, lost)
		}
		wantNoise(t, s, key, test.size)
	}
}

// TestS3Damage has a proxy change a byte on its way: the store must notice.
func TestS3Damage(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	s := openTestS3(t, proxy.Endpoint, "s3://"+server.Bucket+"/damage")
	damaged := 0
	proxy.Break(func(_ int, r *http.Request) pgtest.Fault {
		if r.Method == http.MethodPut && damaged < 2 {
			damaged++
			r.Body = io.NopCloser(&flipper{r: r.Body})
		}
		return pgtest.Pass
	})
	for _, size := range []int64{1000, minPart + 1000} {
		damaged = 0
		if err := store(t, s, "shop/1/x", size, -1).Commit(); err != nil || damaged != 2 {
			t.Errorf("%v after %d damaged requests", err, damaged)
		}
		wantNoise(t, s, "shop/1/x", size)
	}
}

// flipper changes the first byte that it reads.
type flipper struct {
	r    io.Reader
	done bool
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 && !f.done {
		p[0] ^= 1
		f.done = true
	}
	return n, err
}

// TestS3Memory writes eight streams at once.
func TestS3Memory(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/memory")
	size := int64(4 * minPart)
	if pgtest.Soak() {
		size = 20 * minPart
	}
	done := make(chan struct{})
	most := make(chan uint64)
	go func() {
		var top uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			top = max(top, m.HeapInuse)
			select {
			case <-done:
				most <- top
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			if err := store(t, s, fmt.Sprintf("shop/1/%d", i), size, size).Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	close(done)
	if top := <-most; top > 200<<20 {
		t.Errorf("%d MiB of heap", top>>20)
	} else {
		t.Logf("%d MiB of heap", top>>20)
	}
}
