package repository

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestS3Resume cuts every answer in the middle.
func TestS3Resume(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	s := openTestS3(t, proxy.Endpoint, "s3://"+server.Bucket+"/resume")
	const size = 2 << 20
	if err := store(t, s, "shop/1/x", size, size).Commit(); err != nil {
		t.Fatal(err)
	}
	proxy.Break(func(n int, r *http.Request) pgtest.Fault {
		if r.Method == http.MethodGet {
			return pgtest.CutAnswerHalf
		}
		return pgtest.Pass
	})
	wantNoise(t, s, "shop/1/x", size)
	if n := proxy.Count(); n < 10 {
		t.Errorf("only %d requests", n)
	}
	// A store that sends nothing at all is given up.
	proxy.Break(func(n int, r *http.Request) pgtest.Fault {
		if r.Method == http.MethodGet {
			return pgtest.Cut
		}
		return pgtest.Pass
	})
	if err := compareNoise(t, s, "shop/1/x", size); err == nil || !strings.Contains(err.Error(), "read s3://") {
		t.Errorf("read from a store that is gone: %v", err)
	}
}

// TestS3Sections reads sections side by side in small pieces, as a restore in several streams does.
func TestS3Sections(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	s := openTestS3(t, proxy.Endpoint, "s3://"+server.Bucket+"/sections")
	const size = 6 << 20
	if err := store(t, s, "shop/1/x", size, size).Commit(); err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(noise(size, size))
	proxy.Break(nil)
	r, err := s.Open(t.Context(), "shop/1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var work sync.WaitGroup
	for i := range 3 {
		work.Go(func() {
			section := io.NewSectionReader(r, int64(i)*size/3, size/3)
			got := make([]byte, 0, size/3)
			buffer := make([]byte, 32<<10)
			for {
				n, err := section.Read(buffer[:1+rand.IntN(len(buffer))])
				got = append(got, buffer[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			if !bytes.Equal(got, want[i*size/3:(i+1)*size/3]) {
				t.Errorf("section %d is not what was written", i)
			}
		})
	}
	work.Wait()
	if n := proxy.Count(); n > 30 {
		t.Errorf("%d requests", n)
	}
}

// TestS3Changed replaces an object that is being read.
func TestS3Changed(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/changed")
	put(t, s, "shop/1/x", "before")
	r, err := s.Open(t.Context(), "shop/1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "shop/1/x", "after!")
	if data, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("read %q, %v", data, err)
	}
	if err := s.Remove(t.Context(), "shop/1/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read what was removed: %v", err)
	}
}
