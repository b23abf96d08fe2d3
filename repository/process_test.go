package repository

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestMain lets tests run the test binary as another process that uses a repository.
func TestMain(m *testing.M) {
	if act := acts[os.Getenv(actVariable)]; act != nil {
		if err := act(context.Background(), os.Getenv(locationVariable)); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		return
	}
	minio.DefaultRetryUnit = time.Millisecond // which it waits after each request that fails, though it does not try again
	os.Exit(m.Run())
}

const (
	actVariable      = "PGBERTH_TEST_REPOSITORY_ACT"
	locationVariable = "PGBERTH_TEST_REPOSITORY_LOCATION"
)

// acts are what another process does with the repository at a location. It says line by line how far it is.
var acts = map[string]func(ctx context.Context, location string) error{
	"hold": actHold, "nights": actNights, "contend": actContend,
}

// A process is another process that uses a repository.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

func start(t testing.TB, act, location string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), actVariable+"="+act, locationVariable+"="+location)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(func() { p.kill() })
	return p
}

// line is the next line that the process says, or empty at its end.
func (p *process) line() string {
	p.lines.Scan()
	return p.lines.Text()
}

// kill kills the process the hard way, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	_ = p.cmd.Wait()
}

// actHold takes the lock, and holds it until standard input ends.
func actHold(ctx context.Context, location string) error {
	r, err := Open(ctx, location, Options{Command: "pgberth hold"})
	if err != nil {
		return err
	}
	l, _, err := r.Lock(ctx, Database("shop"))
	var locked *LockedError
	if errors.As(err, &locked) {
		fmt.Println("locked", locked.Owner.PID)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("got", os.Getpid())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return l.Release()
}

// TestOneOfFifty starts fifty processes at once: one runs, and the others say that it does.
func TestOneOfFifty(t *testing.T) {
	dir := t.TempDir()
	var processes []*process
	for range 50 {
		processes = append(processes, start(t, "hold", dir))
	}
	said := map[string]int{}
	holder := ""
	var winner *process
	for _, p := range processes {
		line := p.line()
		said[line]++
		if pid, got := strings.CutPrefix(line, "got "); got {
			holder, winner = pid, p
		}
	}
	if len(said) != 2 || said["got "+holder] != 1 || said["locked "+holder] != 49 {
		t.Fatalf("%v", said)
	}
	// Its death ends the lock, whatever the file says.
	r := New(openTestLocal(t, dir), Options{})
	held, err := r.store.Locks(t.Context())
	if err != nil || len(held) != 1 || strconv.Itoa(held[0].Owner.PID) != holder {
		t.Errorf("%+v, %v", held, err)
	}
	winner.kill()
	if held, err := r.store.Locks(t.Context()); err != nil || len(held) > 0 {
		t.Errorf("after its death: %+v, %v", held, err)
	}
	release(t, lockSeries(t, r, Database("shop")))
}

// TestLockOfAnotherLife takes over what processes left that cannot be alive: of before a restart, or whose number another process has now.
func TestLockOfAnotherLife(t *testing.T) {
	dir := t.TempDir()
	for _, left := range []string{
		"", "{", `{"host":"elsewhere","pid":1}`,
		fmt.Sprintf(`{"host":%q,"pid":%d,"boot":"another","command":"pgberth dump"}`, must(os.Hostname()), os.Getpid()),
		fmt.Sprintf(`{"host":%q,"pid":%d,"boot":%q,"command":"pgberth dump"}`, must(os.Hostname()), os.Getpid(), bootID()),
	} {
		if err := os.MkdirAll(filepath.Join(dir, lockDir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, lockDir, "shop"), []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		r := New(openTestLocal(t, dir), Options{})
		release(t, lockSeries(t, r, Database("shop")))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// actContend takes the lock many times, and makes sure each time that nobody else has it.
func actContend(ctx context.Context, location string) error {
	rounds, inside := 100, filepath.Join(location, "inside")
	if pgtest.Soak() {
		rounds = 2500
	}
	r, err := Open(ctx, location, Options{Command: "pgberth contend"})
	if err != nil {
		return err
	}
	for turns := 0; turns < rounds; {
		lock, err := r.store.Lock(ctx, "shop", r.owner())
		var locked *LockedError
		if errors.As(err, &locked) {
			continue
		}
		if err != nil {
			return err
		}
		f, err := os.OpenFile(inside, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("two at once: %w", err)
		}
		if err := errors.Join(f.Close(), os.Remove(inside), lock.Release(ctx)); err != nil {
			return err
		}
		turns++
	}
	fmt.Println("done")
	return nil
}

// TestNeverTwo lets processes race for a lock as it is released.
func TestNeverTwo(t *testing.T) {
	dir := t.TempDir()
	var processes []*process
	for range 4 {
		processes = append(processes, start(t, "contend", dir))
	}
	for _, p := range processes {
		if line := p.line(); line != "done" {
			t.Error(line)
		}
	}
}

// actNights backs up night after night, and forgets and prunes, until it is killed.
func actNights(ctx context.Context, location string) error {
	now := night(1)
	r, err := Open(ctx, location, Options{Create: true, Command: "pgberth nights", Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	r.store = sayingStore{r.store}
	if s, ok := r.store.(sayingStore).Store.(*local); ok {
		s.disk = sayingDisk{s.disk}
	}
	for n := 0; ; n++ {
		l, ctx, err := r.Lock(ctx, Database("shop"))
		if err != nil {
			return err
		}
		backups, err := r.List(ctx, Database("shop"))
		if err != nil {
			return err
		}
		if len(backups) > 0 {
			now = backups[len(backups)-1].Time.Add(24 * time.Hour)
		}
		d, err := l.Begin(ctx)
		if err != nil {
			return err
		}
		if err := publish(ctx, d); err != nil {
			return err
		}
		fmt.Println("published", d)
		if n%3 == 2 {
			lastTwo := func(backups []*Backup) ([]Decision, error) { return Policy{Last: 2}.Apply(backups, now), nil }
			if _, err := l.forget(ctx, n%2 == 0, lastTwo); err != nil {
				return err
			}
		}
		if err := l.Release(); err != nil {
			return err
		}
	}
}

// sayingStore says that something is about to be done.
type sayingStore struct{ Store }

func say() { fmt.Println("call") }

func (s sayingStore) Create(ctx context.Context, key string, size int64) (Writer, error) {
	say()
	w, err := s.Store.Create(ctx, key, size)
	return sayingWriter{w}, err
}

func (s sayingStore) Remove(ctx context.Context, keys ...string) error {
	say()
	defer say()
	return s.Store.Remove(ctx, keys...)
}

func (s sayingStore) Sweep(ctx context.Context, prefix string) error {
	say()
	return s.Store.Sweep(ctx, prefix)
}

type sayingWriter struct{ Writer }

func (w sayingWriter) Commit() error {
	say()
	defer say()
	return w.Writer.Commit()
}

// sayingDisk says so of the calls that change something on a disk.
type sayingDisk struct{ disk }

func (d sayingDisk) Rename(from, to string) error {
	say()
	return d.disk.Rename(from, to)
}

func (d sayingDisk) Remove(name string) error {
	say()
	return d.disk.Remove(name)
}

func (d sayingDisk) SyncDir(name string) error {
	say()
	return d.disk.SyncDir(name)
}

func (d sayingDisk) Mkdir(name string, perm fs.FileMode) error {
	say()
	return d.disk.Mkdir(name, perm)
}

// TestKill kills runs of nights at random points. Whatever the point, all that is listed is whole, what was published is not lost, and the
// next run needs no help.
func TestKill(t *testing.T) {
	testKill(t, t.TempDir(), 12)
}

func TestKillS3(t *testing.T) {
	server := pgtest.S3(t)
	server.Setenv(t)
	testKill(t, "s3://"+server.Bucket+"/nights", 3)
}

func testKill(t *testing.T, location string, n int) {
	if pgtest.Soak() {
		n = 200
	}
	var published []string
	r, err := Open(t.Context(), location, Options{Create: true, Now: func() time.Time { return night(1).AddDate(50, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for seed := range n {
		rnd := rand.New(rand.NewPCG(uint64(seed), 9))
		p := start(t, "nights", location)
		at := 1 + rnd.IntN(250)
		for count := 1; ; count++ {
			line := p.line()
			if id, found := strings.CutPrefix(line, "published "); found {
				published = append(published, id)
			} else if line != "call" && line != "" {
				t.Fatalf("seed %d: %s", seed, line)
			}
			if line == "" {
				break
			}
			if count == at {
				_ = p.cmd.Process.Kill()
			}
		}
		p.kill()
		assertWhole(t, r)
		now := listed(t, r)
		for _, b := range published[max(0, len(published)-2):] {
			// One more may have been published, and made the one before the last superfluous, before it could be said.
			if !slices.Contains(now, b) && (b == published[len(published)-1] || slices.Index(now, published[len(published)-1]) == len(now)-1) {
				t.Fatalf("seed %d, line %d: %s is lost: %v", seed, at, b, now)
			}
		}
	}
	if len(published) < n {
		t.Errorf("%d kills, only %d backups", n, len(published))
	}
	// The next run sweeps up what the killed ones left.
	addBackup(t, r, Database("shop"), night(1).AddDate(49, 0, 0))
	if _, err := r.Forget(t.Context(), ForgetOptions{Policy: Policy{Last: 1}, Prune: true}); err != nil {
		t.Fatal(err)
	}
	left, err := r.store.List(t.Context(), "")
	if err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
	if !strings.HasPrefix(location, "s3:") {
		assertNoRemains(t, location)
	}
}

// assertNoRemains looks for files and directories that no backup has.
func assertNoRemains(t *testing.T, dir string) {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil || len(names) != 8 { // the directory, .locks, its file, the series, the backup, its three files
		t.Errorf("left: %v, %v", names, err)
	}
}

// TestModes makes sure that nobody else can read a backup, whatever the umask.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, mask := range []int{0, 0o777} {
		func() {
			defer syscall.Umask(syscall.Umask(mask))
			r := New(openTestLocal(t, dir), Options{})
			addBackup(t, r, Database("shop"), night(1))
		}()
	}
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(fileMode)
		if entry.IsDir() {
			want = fs.ModeDir | dirMode
		}
		if err == nil && info.Mode() != want {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
