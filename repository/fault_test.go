package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// A deed is something that changes a repository.
type deed struct {
	name string
	do   func(ctx context.Context, r *Repository) error
}

var deeds = []deed{
	{"dump", dumpInto("shop")},
	{"first dump", dumpInto("bank")},
	{"forget", func(ctx context.Context, r *Repository) error {
		_, err := r.Forget(ctx, ForgetOptions{Policy: Policy{Last: 2}})
		return err
	}},
	{"forget and prune", func(ctx context.Context, r *Repository) error {
		_, err := r.Forget(ctx, ForgetOptions{Policy: Policy{Last: 1}, Prune: true})
		return err
	}},
	{"prune", func(ctx context.Context, r *Repository) error {
		_, err := r.Prune(ctx, nil, false)
		return err
	}},
}

// dumpInto makes a backup of a database.
func dumpInto(database string) func(context.Context, *Repository) error {
	return func(ctx context.Context, r *Repository) (err error) {
		l, ctx, err := r.Lock(ctx, Database(database))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.Release()) }()
		d, err := l.Begin(ctx)
		if err != nil {
			return err
		}
		if err := publish(ctx, d); err != nil {
			return errors.Join(err, d.Abort())
		}
		return nil
	}
}

// memRepo is a repository on a disk in memory with three backups, and what a killed run has left.
func memRepo(t testing.TB, locks *os.Root) (*memDisk, []string) {
	t.Helper()
	d := newMemDisk(locks)
	r := onDisk(d)
	for n := range 3 {
		addBackup(t, r, Database("shop"), night(n+1))
	}
	l := lockSeries(t, r, Database("shop"))
	defer release(t, l)
	draft, err := l.BeginCopy(t.Context(), "20261104T020000Z-0000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write(t.Context(), draft, "toc.dat", "left"); err != nil {
		t.Fatal(err)
	}
	if _, err := draft.Create(t.Context(), "12.dat", -1); err != nil {
		t.Fatal(err)
	}
	d.calls = 0
	return d, listed(t, r)
}

func onDisk(d disk) *Repository {
	return New(newLocal("/backups", d), Options{Now: func() time.Time { return night(10) }})
}

// calls counts the calls of a deed that goes well.
func calls(t testing.TB, do deed) int {
	t.Helper()
	d, _ := memRepo(t, lockRoot(t))
	d.calls = 0
	if err := do.do(t.Context(), onDisk(d)); err != nil {
		t.Fatal(err)
	}
	return d.calls
}

// TestFaults makes each call of each deed fail, once or from then on. What fails ends with an error that says where; nothing half is listed, the
// newest backup is never lost, and once the disk works again so does the next run.
func TestFaults(t *testing.T) {
	for _, do := range deeds {
		t.Run(strings.ReplaceAll(do.name, " ", "-"), func(t *testing.T) {
			n := calls(t, do)
			if n < 10 {
				t.Fatalf("only %d calls", n)
			}
			locks := lockRoot(t)
			faults := []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS}
			for at := range n {
				for i, fault := range faults {
					if pgtest.Soak() || i == at%len(faults) {
						testFault(t, do, locks, fault, at+1, true)
						testFault(t, do, locks, fault, at+1, false)
					}
				}
			}
		})
	}
}

func testFault(t *testing.T, do deed, locks *os.Root, fault error, at int, once bool) {
	t.Helper()
	d, before := memRepo(t, locks)
	what := fmt.Sprintf("%v at call %d, once %t: ", fault, at, once)
	failed := ""
	d.hook = func(call int, op, name string) error {
		if call == at || call > at && !once {
			if failed == "" {
				failed = op + " " + name
			}
			return fault
		}
		return nil
	}
	d.calls = 0
	told := &told{}
	r := onDisk(d)
	r.opts.Reporter = told
	err := do.do(t.Context(), r)
	d.hook = nil
	what += failed + ": "
	switch {
	case failed == "":
		t.Fatalf("%sno such call", what)
	case err == nil && !strings.Contains(told.warnings(), fault.Error()) && !strings.Contains(failed, lockDir):
		t.Errorf("%sno error and no warning", what)
	case err != nil && (!errors.Is(err, fault) || !strings.Contains(err.Error(), "/backups")):
		t.Errorf("%sthe error does not name cause and place: %v", what, err)
	}
	after := onDisk(d)
	assertWhole(t, after)
	now := listed(t, after)
	newest := before[len(before)-1]
	lost := slices.DeleteFunc(slices.Clone(before), func(b string) bool { return slices.Contains(now, b) })
	gained := slices.DeleteFunc(slices.Clone(now), func(b string) bool { return slices.Contains(before, b) })
	isDump := strings.Contains(do.name, "dump")
	switch {
	case !slices.Contains(now, newest):
		t.Errorf("%sthe newest backup is lost: %v, %v", what, now, err)
	case (isDump || do.name == "prune") && len(lost) > 0:
		t.Errorf("%slost %v", what, lost)
	case len(gained) > 0 && !isDump, isDump && err == nil && len(gained) != 1:
		t.Errorf("%sgained %v", what, gained)
	// If the disk is gone for good when all of a backup but its name's flush is done, it cannot be taken back.
	case isDump && err != nil && len(gained) > 0 && once:
		t.Errorf("%slisted after a failure: %v, %v", what, gained, err)
	}
	for _, next := range []deed{do, deeds[len(deeds)-1]} {
		if err := next.do(t.Context(), after); err != nil {
			t.Errorf("%snext %s: %v", what, next.name, err)
		}
	}
	if left := d.files(); slices.ContainsFunc(left, func(name string) bool {
		return strings.Contains(name, ".tmp") || strings.Contains(name, "20261104T020000Z-0000")
	}) {
		t.Errorf("%sleft after the next runs: %v", what, left)
	}
}

// files are the paths of all files.
func (d *memDisk) files() []string { return d.root.files("") }

func (dir *memDir) files(prefix string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(dir.entries)) {
		if sub, ok := dir.entries[name].(*memDir); ok {
			list = append(list, sub.files(prefix+name+"/")...)
		} else {
			list = append(list, prefix+name)
		}
	}
	return list
}

// told keeps the warnings.
type told struct{ texts []string }

func (r *told) Report(e progress.Event) {
	if w, ok := e.(progress.Warning); ok {
		r.texts = append(r.texts, w.Text)
	}
}

func (r *told) warnings() string { return strings.Join(r.texts, "\n") }

// TestPowerCut stops each deed before each of its calls and cuts the power: what had not been flushed is there or not, by chance.
func TestPowerCut(t *testing.T) {
	rounds := 4
	if pgtest.Soak() {
		rounds = 100
	}
	for _, do := range deeds {
		t.Run(strings.ReplaceAll(do.name, " ", "-"), func(t *testing.T) {
			n := calls(t, do)
			locks := lockRoot(t)
			for at := range n + 1 {
				d, before := memRepo(t, locks)
				d.hook = func(call int, _, _ string) error {
					if call > at {
						return errStopped
					}
					return nil
				}
				d.calls = 0
				err := do.do(t.Context(), onDisk(d))
				if err == nil && at < n {
					t.Fatalf("call %d of %d: nothing was stopped", at, n)
				}
				for seed := range rounds {
					after := d.cutPower(rand.New(rand.NewPCG(uint64(seed), uint64(at))))
					testAfterPowerCut(t, fmt.Sprintf("call %d, seed %d: ", at, seed), do, after, before, err == nil)
				}
			}
		})
	}
}

var errStopped = errors.New("the machine has stopped")

func testAfterPowerCut(t *testing.T, what string, do deed, d *memDisk, before []string, whole bool) {
	t.Helper()
	r := onDisk(d)
	for _, b := range list(t, r, "") {
		if b.Err != nil {
			t.Fatalf("%s%s is listed and not good: %v", what, b, b.Err)
		}
	}
	assertWhole(t, r)
	now := listed(t, r)
	isDump := strings.Contains(do.name, "dump")
	if whole && isDump && len(now) != len(before)+1 {
		t.Errorf("%sthe backup that was reported is lost: %v", what, now)
	}
	if newest := before[len(before)-1]; !slices.Contains(now, newest) {
		t.Errorf("%sthe newest backup is lost: %v", what, now)
	}
	if isDump || do.name == "prune" {
		for _, b := range before {
			if !slices.Contains(now, b) {
				t.Errorf("%s%s is lost", what, b)
			}
		}
	}
	if err := do.do(t.Context(), r); err != nil {
		t.Errorf("%sthe next run: %v", what, err)
	}
}
