package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testStore holds a kind of store to the contract of [Store]. open returns a new handle of one store, which is empty at first, as another
// process would have it.
func testStore(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(t *testing.T, open func(t *testing.T) Store){
		"objects":     testObjects,
		"not there":   testNotThere,
		"atomic":      testAtomic,
		"replace":     testReplace,
		"many":        testMany,
		"keys":        testKeys,
		"sizes":       testSizes,
		"sweep":       testSweep,
		"concurrent":  testConcurrent,
		"lock":        testLock,
		"interrupted": testInterrupted,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { test(t, open) })
	}
}

// put stores a whole object.
func put(t testing.TB, s Store, key, content string) {
	t.Helper()
	w, err := s.Create(t.Context(), key, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
}

func get(t testing.TB, s Store, key string) string {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != int64(len(data)) {
		t.Errorf("%s: Size is %d, %d bytes were read", key, r.Size(), len(data))
	}
	return string(data)
}

// keys lists what is below a prefix as KEY=SIZE.
func keys(t testing.TB, s Store, prefix string) []string {
	t.Helper()
	objects, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, o := range objects {
		list = append(list, fmt.Sprintf("%s=%d", o.Key, o.Size))
	}
	return list
}

func wantKeys(t testing.TB, s Store, prefix string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, keys(t, s, prefix)); diff != "" {
		t.Errorf("below %q: %s", prefix, diff)
	}
}

func testObjects(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	wantKeys(t, s, "")
	wantKeys(t, s, "shop/")
	put(t, s, "shop/1/toc.dat", "contents")
	put(t, s, "shop/1/empty", "")
	put(t, s, "shop/2/toc.dat", "more")
	put(t, s, "shop-2/1/x", "not below shop/")
	put(t, s, "@globals/1/x", "y")
	put(t, s, "a%2Fb/1/x", "y")
	other := open(t)
	wantKeys(t, other, "shop/", "shop/1/empty=0", "shop/1/toc.dat=8", "shop/2/toc.dat=4")
	wantKeys(t, other, "shop/1/", "shop/1/empty=0", "shop/1/toc.dat=8")
	wantKeys(t, other, "", "@globals/1/x=1", "a%2Fb/1/x=1", "shop-2/1/x=15", "shop/1/empty=0", "shop/1/toc.dat=8", "shop/2/toc.dat=4")
	for prefix, want := range map[string][]string{"": {"@globals", "a%2Fb", "shop", "shop-2"}, "shop/": {"1", "2"}, "shop/1/": nil, "nothing/": nil} {
		got, err := other.Folders(t.Context(), prefix)
		if err != nil || len(got)+len(want) > 0 && !cmp.Equal(got, want) {
			t.Errorf("folders below %q: %q, %v", prefix, got, err)
		}
	}
	if got := get(t, other, "shop/1/toc.dat"); got != "contents" {
		t.Errorf("read %q", got)
	}
	if got := get(t, other, "shop/1/empty"); got != "" {
		t.Errorf("read %q", got)
	}
	r, err := other.Open(t.Context(), "shop/1/toc.dat")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, test := range []struct {
		offset int64
		n      int
		want   string
		err    error
	}{{0, 3, "con", nil}, {5, 3, "nts", nil}, {5, 9, "nts", io.EOF}, {8, 1, "", io.EOF}, {100, 1, "", io.EOF}} {
		p := make([]byte, test.n)
		n, err := r.ReadAt(p, test.offset)
		// At the very end both nil and io.EOF are allowed.
		if string(p[:n]) != test.want || !errors.Is(err, test.err) && !(err == io.EOF && n == test.n) {
			t.Errorf("ReadAt %d, %d: %q, %v", test.offset, test.n, p[:n], err)
		}
	}
	// Reading at a place does not move the place of Read.
	if data, err := io.ReadAll(r); string(data) != "contents" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if err := s.Remove(t.Context(), "shop/1/toc.dat", "shop/1/empty", "shop/1/never"); err != nil {
		t.Error(err)
	}
	wantKeys(t, other, "shop/", "shop/2/toc.dat=4")
	if err := s.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if s.String() == "" {
		t.Error("the store has no name")
	}
}

func testNotThere(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	put(t, s, "shop/1/x", "y")
	for _, key := range []string{"nothing", "shop/1/y", "shop/1", "shop/2/x", "shop/1/x/y"} {
		if r, err := s.Open(t.Context(), key); err == nil {
			r.Close()
			t.Errorf("%s could be opened", key)
		} else if key != "shop/1" && key != "shop/1/x/y" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func testAtomic(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	w, err := s.Create(t.Context(), "shop/1/toc.dat", -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "")
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	wantKeys(t, s, "")
	if _, err := s.Open(t.Context(), "shop/1/toc.dat"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("aborted, yet: %v", err)
	}
}

func testReplace(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	put(t, s, "shop/1/x", "old")
	w, err := s.Create(t.Context(), "shop/1/x", 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("newer")); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "shop/1/x"); got != "old" {
		t.Errorf("before Commit: %q", got)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "shop/1/x"); got != "newer" {
		t.Errorf("after Commit: %q", got)
	}
}

// testMany lists and removes more objects than come in one page of a bucket's list.
func testMany(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	const n = 1100
	var all []string
	var work sync.WaitGroup
	limit := make(chan struct{}, 16)
	for i := range n {
		key := fmt.Sprintf("shop/1/%04d", i)
		all = append(all, key)
		limit <- struct{}{}
		work.Go(func() {
			defer func() { <-limit }()
			w, err := s.Create(t.Context(), key, 0)
			if err == nil {
				err = w.Commit()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	objects, err := s.List(t.Context(), "shop/")
	if err != nil || len(objects) != n {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	for i, o := range objects {
		if o.Key != all[i] {
			t.Fatalf("object %d is %s", i, o.Key)
		}
	}
	if err := s.Remove(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "")
}

func testKeys(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	for _, key := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".locks/a", "a/.b", "a\x00b"} {
		if w, err := s.Create(t.Context(), key, 1); err == nil {
			t.Errorf("%q could be created, and then: %v", key, w.Abort())
		}
		if r, err := s.Open(t.Context(), key); err == nil {
			t.Errorf("%q could be opened, and then: %v", key, r.Close())
		}
		if err := s.Remove(t.Context(), key); err == nil {
			t.Errorf("%q could be removed", key)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", ".a"} {
		if l, err := s.Lock(t.Context(), name, Owner{Host: "h"}); err == nil {
			t.Errorf("lock %q could be taken, and then: %v", name, l.Release(t.Context()))
		}
	}
}

// testSizes stores objects that are larger and smaller than was expected.
func testSizes(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	content := strings.Repeat("0123456789abcdef", 20_000)
	for _, expected := range []int64{-1, 0, 10, int64(len(content)), 1 << 30} {
		key := fmt.Sprintf("shop/1/%d", expected+1)
		w, err := s.Create(t.Context(), key, expected)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(w, iotest(content)); err != nil || n != int64(len(content)) {
			t.Fatalf("%d, %v", n, err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if get(t, s, key) != content {
			t.Errorf("expected %d: other content", expected)
		}
	}
}

// iotest reads a string in pieces of odd sizes.
func iotest(s string) io.Reader {
	var parts []io.Reader
	for n := 1; s != ""; n = n*3 + 1 {
		cut := min(n, len(s))
		parts = append(parts, bytes.NewReader([]byte(s[:cut])))
		s = s[cut:]
	}
	return io.MultiReader(parts...)
}

func testSweep(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	put(t, s, "shop/1/whole", "x")
	put(t, s, "shop-2/1/whole", "x")
	for _, key := range []string{"shop/1/half", "shop/2/half", "shop-2/1/half"} {
		w, err := s.Create(t.Context(), key, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Abort() }) // of what a killed process would have left
	}
	other := open(t)
	if err := other.Sweep(t.Context(), "shop/"); err != nil {
		t.Fatal(err)
	}
	if err := other.Sweep(t.Context(), "nothing/"); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, other, "", "shop-2/1/whole=1", "shop/1/whole=1")
}

func testConcurrent(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for j := range 5 {
				key := fmt.Sprintf("db%d/%d/x", i, j)
				w, err := s.Create(t.Context(), key, 5)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.WriteString(w, fmt.Sprintf("%d-%03d", i, j))
				if err := errors.Join(err, w.Commit()); err != nil {
					t.Error(err)
				}
				if got, want := get(t, s, key), fmt.Sprintf("%d-%03d", i, j); got != want {
					t.Errorf("%s: %q", key, got)
				}
			}
		})
	}
	work.Wait()
	if list := keys(t, s, ""); len(list) != 40 {
		t.Errorf("%d objects", len(list))
	}
}

func testLock(t *testing.T, open func(t *testing.T) Store) {
	s, other := open(t), open(t)
	owner := New(s, Options{Command: "pgberth test"}).owner()
	lock, err := s.Lock(t.Context(), "shop", owner)
	if err != nil {
		t.Fatal(err)
	}
	rival := owner
	rival.Command = "pgberth rival"
	for _, store := range []Store{s, other} {
		_, err = store.Lock(t.Context(), "shop", rival)
		var locked *LockedError
		if !errors.As(err, &locked) || locked.Name != "shop" || !cmp.Equal(locked.Owner, owner) {
			t.Errorf("locked twice: %v", err)
		}
	}
	held, err := other.Locks(t.Context())
	if want := []Held{{Name: "shop", Owner: owner}}; err != nil || !cmp.Equal(held, want) {
		t.Errorf("locks: %+v, %v", held, err)
	}
	second, err := other.Lock(t.Context(), "shop-2", rival)
	if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "") // locks are no objects
	if folders, err := s.Folders(t.Context(), ""); err != nil || len(folders) > 0 {
		t.Errorf("folders: %q, %v", folders, err)
	}
	select {
	case <-lock.Lost():
		t.Error("the lock was lost")
	default:
	}
	for _, l := range []Lock{lock, second} {
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if held, err := s.Locks(t.Context()); err != nil || len(held) > 0 {
		t.Errorf("locks: %+v, %v", held, err)
	}
	if err := s.Unlock(t.Context(), "shop"); err != nil {
		t.Errorf("unlock what is not locked: %v", err)
	}
	if lock, err = other.Lock(t.Context(), "shop", rival); err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	// Many at once: never two.
	var work sync.WaitGroup
	var mu sync.Mutex
	holders, most, turns := 0, 0, 0
	for range 8 {
		store := open(t)
		work.Go(func() {
			for range 10 {
				l, err := store.Lock(t.Context(), "shop", owner)
				var locked *LockedError
				if errors.As(err, &locked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				holders++
				most, turns = max(most, holders), turns+1
				mu.Unlock()
				mu.Lock()
				holders--
				mu.Unlock()
				if err := l.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if most != 1 || turns == 0 {
		t.Errorf("%d held the lock at once, it was taken %d times", most, turns)
	}
}

// testInterrupted ends the context of reads and writes.
func testInterrupted(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	put(t, s, "shop/1/x", "content")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, "shop/1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := s.Create(ctx, "shop/1/y", -1)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if data, err := io.ReadAll(r); err == nil {
		t.Errorf("read %q after the end", data)
	}
	_, err = w.Write([]byte("more"))
	if err := errors.Join(err, w.Commit()); err == nil {
		t.Error("committed after the end")
	}
	if err := w.Abort(); err != nil {
		t.Logf("abort after the end: %v", err) // what is left is for Sweep
	}
	wantKeys(t, s, "", "shop/1/x=7")
	if _, err := s.Create(ctx, "shop/1/z", 0); err == nil {
		t.Log("created after the end") // which Commit then refuses
	}
}
