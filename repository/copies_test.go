package repository

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// listsStore counts how often it is listed and swept.
type listsStore struct {
	Store
	lists, sweeps int
}

func (s *listsStore) List(ctx context.Context, prefix string) ([]Object, error) {
	s.lists++
	return s.Store.List(ctx, prefix)
}

func (s *listsStore) Sweep(ctx context.Context, prefix string) error {
	s.sweeps++
	return s.Store.Sweep(ctx, prefix)
}

// TestCopiesLookOnce makes several copies under one lock, which looks at what is there, and sweeps, once.
func TestCopiesLookOnce(t *testing.T) {
	store := &listsStore{Store: openTestLocal(t, t.TempDir())}
	r := New(store, Options{})
	shop := Database("shop")
	there := addBackup(t, r, shop, night(1))
	remains := filepath.Join(r.String(), "shop", "20261102T020000Z-aaaa")
	if err := os.Mkdir(remains, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(remains, "toc.dat"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	store.lists, store.sweeps = 0, 0
	l := lockSeries(t, r, shop)
	defer release(t, l)
	want := []string{"shop/" + there}
	for n := 3; n < 6; n++ {
		d, err := l.BeginCopy(t.Context(), newID(night(n), nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := publish(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		want = append(want, d.String())
		for _, id := range []string{there, d.ID} {
			if _, err := l.BeginCopy(t.Context(), id); !errors.Is(err, ErrExists) {
				t.Errorf("%s was begun twice: %v", id, err)
			}
		}
	}
	if store.lists != 1 || store.sweeps != 2 { // of the remains, and of the series
		t.Errorf("%d lists and %d sweeps for three copies", store.lists, store.sweeps)
	}
	if got := listed(t, r); !slices.Equal(got, want) {
		t.Errorf("listed: %v, want %v", got, want)
	}
	if _, err := os.Stat(remains); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed run has left: %v", err)
	}
	assertWhole(t, r)
}
