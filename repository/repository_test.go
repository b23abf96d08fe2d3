package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
)

// testRepo opens a repository in a new directory.
func testRepo(t *testing.T) *Repository {
	t.Helper()
	return New(openTestLocal(t, t.TempDir()), Options{})
}

func lockSeries(t testing.TB, r *Repository, s Series) *Locked {
	t.Helper()
	l, _, err := r.Lock(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func release(t testing.TB, l *Locked) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

// write commits a file of a draft and returns what the manifest says of it.
func write(ctx context.Context, d *Draft, name, content string) (archive.ManifestFile, error) {
	w, err := d.Create(ctx, name, int64(len(content)))
	if err != nil {
		return archive.ManifestFile{}, err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return archive.ManifestFile{}, errors.Join(err, w.Abort())
	}
	sum := sha256.Sum256([]byte(content))
	return archive.ManifestFile{Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}, w.Commit()
}

// publish writes a whole backup of two files.
func publish(ctx context.Context, d *Draft, tags ...string) error {
	m := &archive.Manifest{Format: archive.ManifestFormat, Tool: "test", Created: d.Time, Backup: archive.ManifestBackup{ID: d.ID, Tags: tags}}
	for name, content := range map[string]string{"toc.dat": "contents of " + d.String(), "12.dat": strings.Repeat("rows\n", 100)} {
		f, err := write(ctx, d, name, content)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	return d.Publish(ctx, m)
}

// addBackup publishes a backup that was started at a time.
func addBackup(t testing.TB, r *Repository, s Series, at time.Time, tags ...string) string {
	t.Helper()
	l := lockSeries(t, r, s)
	defer release(t, l)
	d, err := l.BeginCopy(t.Context(), newID(at, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := publish(t.Context(), d, tags...); err != nil {
		t.Fatal(err)
	}
	if err := d.Abort(); err != nil {
		t.Fatalf("Abort after Publish: %v", err)
	}
	return d.ID
}

func list(t testing.TB, r *Repository, s Series) []*Backup {
	t.Helper()
	backups, err := r.List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return backups
}

// listed are the names of all backups.
func listed(t testing.TB, r *Repository) []string {
	t.Helper()
	var names []string
	for _, b := range list(t, r, "") {
		names = append(names, b.String())
	}
	return names
}

// assertWhole verifies every backup that is listed.
func assertWhole(t testing.TB, r *Repository) {
	t.Helper()
	for _, b := range list(t, r, "") {
		if b.Err != nil {
			t.Errorf("%s is listed and not good: %v", b, b.Err)
		} else if err := archive.CheckFiles(t.Context(), b, b.Manifest); err != nil {
			t.Errorf("%s is listed and damaged: %v", b, err)
		}
	}
}

func night(n int) time.Time { return time.Date(2026, 11, n, 2, 0, 0, 0, time.UTC) }

func TestDraft(t *testing.T) {
	r := testRepo(t)
	l := lockSeries(t, r, Database("shop"))
	d, err := l.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at, err := ParseID(d.ID); err != nil || !at.Equal(d.Time) || time.Since(at) > time.Minute {
		t.Errorf("ID %s is of %s, %v", d.ID, at, err)
	}
	if _, err := write(t.Context(), d, "toc.dat", "half"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a/b", ".hidden", archive.ManifestName} {
		if _, err := d.Create(t.Context(), name, 1); err == nil {
			t.Errorf("file %q could be created", name)
		}
	}
	if got := listed(t, r); len(got) > 0 {
		t.Errorf("listed before it was published: %v", got)
	}
	if err := d.Publish(t.Context(), nil); err == nil {
		t.Error("published without a manifest")
	}
	if err := d.Abort(); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, r.store, "")
	if d, err = l.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := publish(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	release(t, l)
	if diff := cmp.Diff([]string{"shop/" + d.ID}, listed(t, r)); diff != "" {
		t.Error(diff)
	}
	assertWhole(t, r)
	b := list(t, r, Database("shop"))[0]
	if b.Size < 500 || b.Manifest.Backup.ID != d.ID || !b.Time.Equal(d.Time) || len(b.Files) != 3 {
		t.Errorf("%+v", b)
	}
	l = lockSeries(t, r, Database("shop"))
	defer release(t, l)
	if _, err := l.BeginCopy(t.Context(), d.ID); !errors.Is(err, ErrExists) {
		t.Errorf("begun twice: %v", err)
	}
}

// TestBeginSweeps removes what a killed run has left, and nothing else.
func TestBeginSweeps(t *testing.T) {
	r := testRepo(t)
	good := addBackup(t, r, Database("shop"), night(1))
	dir := r.String()
	for name, content := range map[string]string{
		"shop/20261102T020000Z-aaaa/toc.dat":       "half",
		"shop/20261102T020000Z-aaaa/.1.dat.77.tmp": "half",
		"shop/mine/notes":                          "not ours",
		"shop/mine/.notes.tmp":                     "not ours",
		"shop/notes":                               "not ours",
		"other/20261102T020000Z-aaaa/toc.dat":      "another database's",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := lockSeries(t, r, Database("shop"))
	defer release(t, l)
	d, err := l.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "shop", "20261102T020000Z-aaaa")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the killed run's folder: %v", err)
	}
	for _, name := range []string{"shop/mine/notes", "shop/mine/.notes.tmp", "shop/notes", "other/20261102T020000Z-aaaa/toc.dat", "shop/" + good + "/toc.dat"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	assertWhole(t, r)
}

func TestFind(t *testing.T) {
	r := testRepo(t)
	find := func(ref, want string) {
		t.Helper()
		b, err := r.Find(t.Context(), ref)
		switch {
		case err != nil && want == "":
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", ref, err)
			}
		case err != nil:
			var ambiguous *AmbiguousError
			if !errors.As(err, &ambiguous) || strings.Join(ambiguous.Candidates, " ") != want {
				t.Errorf("%s: %v, want %s", ref, err, want)
			}
		case b.String() != want || b.Manifest == nil:
			t.Errorf("%s is %s, want %s", ref, b, want)
		}
	}
	find("latest", "")
	find("shop/latest", "")
	first := addBackup(t, r, Database("shop"), night(1))
	globals := addBackup(t, r, Globals, night(2))
	last := addBackup(t, r, Database("shop"), night(3))
	find("latest", "shop/"+last)
	find("oldest", "shop/"+first)
	odd := addBackup(t, r, Database("a/b%40 ünd"), night(4))
	addBackup(t, r, Database("@globals"), night(5))
	find("latest", "@globals/latest a/b%40 ünd/latest shop/latest")
	find("shop/latest", "shop/"+last)
	find("shop/oldest", "shop/"+first)
	find("shop/"+first, "shop/"+first)
	find("shop/202611", "shop/"+first+" shop/"+last)
	find("shop/20261101", "shop/"+first)
	find("20261101", "shop/"+first)
	find("20261", strings.Join(listed(t, r), " "))
	find("a/b%40 ünd/latest", "a/b%40 ünd/"+odd)
	find("a%2Fb%2540%20%C3%BCnd/latest", "a/b%40 ünd/"+odd)
	find("@globals/latest", "@globals/"+globals)
	at := addBackup(t, r, Database("@x"), night(6))
	find("@x/latest", "@x/"+at)
	find("shop/", "")
	find("", "")
	find("/latest", "")
	find("shop/20251101", "")
	find("postgres://app:hunter2@h/db", "")
	if _, err := r.Find(t.Context(), "postgres://app:hunter2@h/db"); strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

// TestLatestHasCome does not take a backup for the latest that a clock which was wrong has put first.
func TestLatestHasCome(t *testing.T) {
	now := night(5)
	told := &told{}
	r := New(openTestLocal(t, t.TempDir()), Options{Now: func() time.Time { return now }, Reporter: told})
	future := addBackup(t, r, Database("shop"), night(5).AddDate(10, 0, 0))
	b, err := r.Find(t.Context(), Latest)
	if err != nil || b.ID != future || !strings.Contains(told.warnings(), "the latest, shop/"+future+", has a time that has not come yet") {
		t.Errorf("%v, %v; warnings: %s", b, err, told.warnings())
	}
	addBackup(t, r, Database("shop"), night(4))
	ahead := addBackup(t, r, Database("shop"), night(5).Add(10*time.Minute)) // of a host whose clock is a little ahead
	if b, err = r.Find(t.Context(), "shop/latest"); err != nil || b.ID != ahead || !strings.Contains(told.warnings(), "so the latest is taken to be shop/"+ahead) {
		t.Errorf("%v, %v; warnings: %s", b, err, told.warnings())
	}
	told.texts = nil
	l := lockSeries(t, r, Database("shop"))
	defer release(t, l)
	d, err := l.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Abort(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(told.warnings(), "shop/"+future+" has a time that has not come yet") || strings.Contains(told.warnings(), ahead) {
		t.Errorf("warnings: %s", told.warnings())
	}
}

func TestSeriesNames(t *testing.T) {
	for name, want := range map[string]Series{
		"shop": "shop", "Shop_1.2-x": "Shop_1.2-x", ".shop": "%2Eshop", "..": "%2E.", "@globals": "%40globals", "a@b": "a%40b",
		"a/b": "a%2Fb", "ü": "%C3%BC", "100%": "100%25", " ": "%20", "a\nb": "a%0Ab", "\xff": "%FF",
	} {
		got := Database(name)
		if got != want || got.Name() != name || got.IsOwn() {
			t.Errorf("%q: %s, and back %q", name, got, got.Name())
		}
		if s, ok := parseSeries(string(got)); !ok || s != got {
			t.Errorf("%s is not read back", got)
		}
	}
	for _, folder := range []string{"", "@", "%", "%2", "%2f", "a b", "lost+found", "%61", ".x", "@a/b", "@%40", "a%zz"} {
		if _, ok := parseSeries(folder); ok {
			t.Errorf("%q is taken for a series", folder)
		}
	}
	if s, ok := parseSeries("@globals"); !ok || s != Globals || s.Name() != "@globals" || !s.IsOwn() {
		t.Error("@globals is not a series")
	}
}

func FuzzSeries(f *testing.F) {
	f.Add("shop")
	f.Add("@.%/\x00")
	f.Fuzz(func(t *testing.T, name string) {
		s := Database(name)
		if s.Name() != name || s.IsOwn() || name != "" && checkKey(string(s)) != nil {
			t.Errorf("%q: %s, and back %q", name, s, s.Name())
		}
	})
}

func TestParseID(t *testing.T) {
	at, err := ParseID("20261127T020000Z-a3f9")
	if err != nil || !at.Equal(time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("%s, %v", at, err)
	}
	for _, id := range []string{"", "latest", "20261127T020000Z", "20261127T020000Z-", "20261127T020000Z-A3F9", "20261127T020000Z-a3f",
		"20261127T020000Z-a3f9x", "20261327T020000Z-a3f9", "20261127T020000.5Z-a3f9", "20261127T02000Z-a3f9"} {
		if _, err := ParseID(id); err == nil {
			t.Errorf("%q is taken for an ID", id)
		}
	}
}

// TestNotGood lists backups that are damaged, with what is wrong with them.
func TestNotGood(t *testing.T) {
	r := testRepo(t)
	s := Database("shop")
	var ids []string
	for n := range 5 {
		ids = append(ids, addBackup(t, r, s, night(n+1)))
	}
	at := func(n int, name string) string { return filepath.Join(r.String(), "shop", ids[n], name) }
	for _, err := range []error{
		os.WriteFile(at(0, archive.ManifestName), []byte("{"), 0o600),
		os.Remove(at(1, "toc.dat")),
		os.Truncate(at(2, "12.dat"), 7),
		os.Truncate(at(3, archive.ManifestName), 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	backups := list(t, r, s)
	if len(backups) != 5 {
		t.Fatalf("%d backups are listed", len(backups))
	}
	for n, want := range []string{archive.ManifestName, "toc.dat", "12.dat", archive.ManifestName, ""} {
		err := backups[n].Err
		var corrupt *archive.CorruptError
		if want == "" && err != nil || want != "" && (!errors.As(err, &corrupt) || corrupt.File != want) {
			t.Errorf("%s: %v, want damage of %q", backups[n], err, want)
		}
	}
}

func TestLocalNeedsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
	r, err := Open(t.Context(), dir, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := listed(t, r); len(got) > 0 {
		t.Errorf("%v", got)
	}
	for _, location := range []string{"", "postgres://app:hunter2@h/db", "s3:/bucket/hunter2", "s3://b", "s3://key:hunter2@bucket"} {
		var wrong *LocationError
		if _, err := Open(t.Context(), location, Options{Create: true}); !errors.As(err, &wrong) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", location, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file, Options{Create: true}); err == nil {
		t.Error("a file was opened as a repository")
	}
}

// TestLockIsLost ends what needs the lock.
func TestLockIsLost(t *testing.T) {
	lost := make(chan struct{})
	r := New(losingStore{openTestLocal(t, t.TempDir()), lost}, Options{})
	l, ctx, err := r.Lock(t.Context(), Database("shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer release(t, l)
	d, err := l.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	close(lost)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, ErrLockLost) {
		t.Error(err)
	}
	if err := d.Publish(t.Context(), &archive.Manifest{}); !errors.Is(err, ErrLockLost) {
		t.Errorf("published without the lock: %v", err)
	}
	if err := d.Abort(); err != nil {
		t.Error(err)
	}
	if got := listed(t, r); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

type losingStore struct {
	Store
	lost chan struct{}
}

type losingLock struct {
	Lock
	lost chan struct{}
}

func (l losingLock) Lost() <-chan struct{} { return l.lost }

func (s losingStore) Lock(ctx context.Context, name string, owner Owner) (Lock, error) {
	l, err := s.Store.Lock(ctx, name, owner)
	return losingLock{l, s.lost}, err
}

func TestLockWait(t *testing.T) {
	dir := t.TempDir()
	first := New(openTestLocal(t, dir), Options{Command: "pgberth first"})
	l := lockSeries(t, first, Database("shop"))
	var locked *LockedError
	_, _, err := New(openTestLocal(t, dir), Options{LockWait: time.Millisecond}).Lock(t.Context(), Database("shop"))
	if !errors.As(err, &locked) || locked.Owner.Command != "pgberth first" || !strings.Contains(err.Error(), "shop is locked by pgberth first on ") {
		t.Errorf("%v", err)
	}
	patient := New(openTestLocal(t, dir), Options{LockWait: time.Minute, Reporter: &releaser{t: t, l: l}})
	second := lockSeries(t, patient, Database("shop"))
	release(t, second)
	ctx, cancel := context.WithCancel(t.Context())
	l = lockSeries(t, first, Database("shop"))
	defer release(t, l)
	impatient := New(openTestLocal(t, dir), Options{LockWait: time.Minute, Reporter: canceller(cancel)})
	if _, _, err := impatient.Lock(ctx, Database("shop")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestSeriesOrder(t *testing.T) {
	r := testRepo(t)
	for _, s := range []Series{Globals, Database("ü"), Database("shop"), Database("a/b")} {
		addBackup(t, r, s, night(1))
	}
	if err := os.Mkdir(filepath.Join(r.String(), "lost+found"), 0); err != nil {
		t.Fatal(err)
	}
	got, err := r.Series(t.Context())
	if want := []Series{Database("a/b"), Database("shop"), Database("ü"), Globals}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got := listed(t, r); len(got) != 4 {
		t.Error(got)
	}
}

// A releaser gives a lock back when somebody says that he waits for it.
type releaser struct {
	t testing.TB
	l *Locked
}

func (r *releaser) Report(e progress.Event) { release(r.t, r.l) }

// A canceller ends a run that says that it waits.
type canceller context.CancelFunc

func (c canceller) Report(e progress.Event) { c() }
