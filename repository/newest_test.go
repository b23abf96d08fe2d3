package repository

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgberth/pgberth/archive"
)

// readsStore takes note of the manifests that are opened.
type readsStore struct {
	Store
	mu   sync.Mutex
	read []string // IDs
}

func (s *readsStore) Open(ctx context.Context, key string) (Reader, error) {
	if folder, found := strings.CutSuffix(key, "/"+archive.ManifestName); found {
		s.mu.Lock()
		s.read = append(s.read, filepath.Base(folder))
		s.mu.Unlock()
	}
	return s.Store.Open(ctx, key)
}

// TestNewest takes no backup for the newest that is damaged, or that a clock which was wrong has put last.
func TestNewest(t *testing.T) {
	now, shop := night(9), Database("shop")
	store := &readsStore{Store: openTestLocal(t, t.TempDir())}
	r := New(store, Options{Now: func() time.Time { return now }})
	if b, err := r.Newest(t.Context(), shop); b != nil || err != nil {
		t.Errorf("of none: %v, %v", b, err)
	}
	future := addBackup(t, r, shop, now.AddDate(10, 0, 0))
	if b, err := r.Newest(t.Context(), shop); b != nil || err != nil {
		t.Errorf("of one in the future: %v, %v", b, err)
	}
	addBackup(t, r, shop, night(6))
	good := addBackup(t, r, shop, night(7))
	damaged := addBackup(t, r, shop, night(8))
	if err := os.Remove(filepath.Join(r.String(), "shop", damaged, "12.dat")); err != nil {
		t.Fatal(err)
	}
	store.read = nil
	b, err := r.Newest(t.Context(), shop)
	if err != nil || b == nil || b.ID != good {
		t.Fatalf("%v, %v", b, err)
	}
	if !slices.Equal(store.read, []string{damaged, good}) {
		t.Errorf("read %v, of %s in the future, %s damaged and %s good", store.read, future, damaged, good)
	}
}

// TestForgetNamedFuture protects the newest backup whose time has come, and not one that a wrong clock has put after it.
func TestForgetNamedFuture(t *testing.T) {
	now, shop := night(9), Database("shop")
	r := New(openTestLocal(t, t.TempDir()), Options{Now: func() time.Time { return now }})
	forget := func(id string) error {
		t.Helper()
		_, err := r.Forget(t.Context(), ForgetOptions{Named: []string{"shop/" + id}})
		return err
	}
	wantKept := func(id string, isFuture bool) {
		t.Helper()
		var newest *NewestError
		if err := forget(id); !errors.As(err, &newest) || newest.Backup.ID != id || newest.Future != isFuture {
			t.Errorf("forget %s: %v", id, err)
		}
	}
	future, further := addBackup(t, r, shop, now.AddDate(1, 0, 0)), addBackup(t, r, shop, now.AddDate(2, 0, 0))
	wantKept(further, true) // the only ones there are
	older, newest := addBackup(t, r, shop, night(7)), addBackup(t, r, shop, night(8))
	wantKept(newest, false)
	for _, id := range []string{older, further, future} {
		if err := forget(id); err != nil {
			t.Errorf("forget %s: %v", id, err)
		}
	}
	if got := listed(t, r); !slices.Equal(got, []string{"shop/" + newest}) {
		t.Errorf("left: %v", got)
	}
	wantKept(newest, false)
}
