package repository

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func testOwner(s Store, command string) Owner { return New(s, Options{Command: command}).owner() }

func mustLock(t testing.TB, s Store, name string, owner Owner) Lock {
	t.Helper()
	l, err := s.Lock(t.Context(), name, owner)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// unkept is a lock that no longer renews itself, so that a test may.
func unkept(lock Lock) *s3Lock {
	l := lock.(*s3Lock)
	l.stop()
	<-l.kept
	return l
}

func giveBack(t testing.TB, l Lock) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// wantLost waits for the loss of a lock.
func wantLost(t testing.TB, l Lock) {
	t.Helper()
	select {
	case <-l.Lost():
	case <-time.After(time.Minute):
		t.Error("the lock was not lost")
	}
}

func wantLocked(t testing.TB, s Store, name string, by Owner) {
	t.Helper()
	l, err := s.Lock(t.Context(), name, testOwner(s, "pgberth rival"))
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Owner != by {
		t.Errorf("locked by %v: %v", by, err)
	}
	if err == nil {
		giveBack(t, l)
	}
}

// deadPID is the id of a process that is no more.
func deadPID(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// TestS3LockOfDeadProcess takes over at once what a process of this host has left, and nothing else.
func TestS3LockOfDeadProcess(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/dead")
	s.lease = 400 * time.Millisecond // so that the loss is seen soon
	dead := testOwner(s, "pgberth dump")
	dead.PID = deadPID(t)
	left := mustLock(t, s, "shop", dead)
	rival := openTestS3(t, server.Endpoint, s.String())
	taken := mustLock(t, rival, "shop", testOwner(rival, "pgberth rival"))
	wantLost(t, left)
	giveBack(t, left)
	wantLocked(t, rival, "shop", testOwnerOf(t, rival, "shop"))
	giveBack(t, taken)
	for name, change := range map[string]func(*Owner){
		"host": func(o *Owner) { o.Host = "elsewhere" },
		"boot": func(o *Owner) { o.Boot = "before" },
		"none": func(o *Owner) { o.Boot = "" },
	} {
		owner := dead
		change(&owner)
		l := mustLock(t, rival, name, owner)
		wantLocked(t, s, name, owner)
		giveBack(t, l)
	}
}

func testOwnerOf(t testing.TB, s *s3Store, name string) Owner {
	t.Helper()
	held, err := s.readLease(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return held.Owner
}

// TestS3LockOver takes over a lease that nobody has renewed in time, by the store's clock.
func TestS3LockOver(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/over")
	elsewhere := Owner{Host: "elsewhere", PID: 1, Command: "pgberth dump", Started: time.Now().UTC().Truncate(time.Second)}
	l := unkept(mustLock(t, s, "shop", elsewhere))
	age := func(by time.Duration) {
		t.Helper()
		then := time.Now().Add(-by)
		if err := os.Chtimes(server.File("over/.locks/shop"), then, then); err != nil {
			t.Fatal(err)
		}
	}
	age(s3Lease - 30*time.Second)
	wantLocked(t, s, "shop", elsewhere)
	age(s3Lease + 10*time.Second)
	taken := mustLock(t, s, "shop", testOwner(s, "pgberth rival"))
	if err := l.renew(t.Context()); !errors.Is(err, ErrLockLost) {
		t.Errorf("a lock that was taken over was renewed: %v", err)
	}
	giveBack(t, l)
	wantLocked(t, s, "shop", testOwnerOf(t, s, "shop"))
	giveBack(t, taken)
	// What is no lease has no owner, and is over too some day.
	if err := os.WriteFile(server.File("over/.locks/shop"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantLocked(t, s, "shop", Owner{})
	age(s3Lease + 10*time.Second)
	giveBack(t, mustLock(t, s, "shop", elsewhere))
}

func TestS3Unlock(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/unlock")
	s.lease = 400 * time.Millisecond
	l := mustLock(t, s, "shop", testOwner(s, "pgberth dump"))
	if err := s.Unlock(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	wantLost(t, l)
	giveBack(t, l)
	if locks, err := s.Locks(t.Context()); err != nil || len(locks) != 0 {
		t.Errorf("locks: %v, %v", locks, err)
	}
}

// TestS3LockRenewed renews through a store that does not answer at first, or whose answers are lost.
func TestS3LockRenewed(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	s := openTestS3(t, proxy.Endpoint, "s3://"+server.Bucket+"/renewed")
	l := unkept(mustLock(t, s, "shop", testOwner(s, "pgberth dump")))
	proxy.Break(func(n int, _ *http.Request) pgtest.Fault {
		return []pgtest.Fault{pgtest.Cut, pgtest.Answer503, pgtest.CutAnswer, pgtest.Answer500, pgtest.CutAnswer, pgtest.CutAnswerHalf, pgtest.Pass}[min(n-1, 6)]
	})
	before := l.since
	if err := l.renew(t.Context()); err != nil {
		t.Error(err)
	}
	if !l.since.After(before) {
		t.Error("it was not renewed")
	}
	giveBack(t, l)
}

// TestS3LockStoreGone loses a lock that cannot be renewed.
func TestS3LockStoreGone(t *testing.T) {
	server := testS3(t)
	proxy := pgtest.NewS3Proxy(t, server)
	s := openTestS3(t, proxy.Endpoint, "s3://"+server.Bucket+"/gone")
	s.lease = 400 * time.Millisecond
	l := mustLock(t, s, "shop", testOwner(s, "pgberth dump"))
	proxy.Break(func(int, *http.Request) pgtest.Fault { return pgtest.Cut })
	wantLost(t, l)
	giveBack(t, l)
}

// TestS3LockOnce has fifty runs start at once.
func TestS3LockOnce(t *testing.T) {
	server := testS3(t)
	for round := range map[bool]int{false: 2, true: 50}[pgtest.Soak()] {
		var work sync.WaitGroup
		var mu sync.Mutex
		var got []Lock
		for range 50 {
			s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/once")
			work.Go(func() {
				l, err := s.Lock(t.Context(), "shop", testOwner(s, "pgberth dump"))
				var locked *LockedError
				if err != nil && (!errors.As(err, &locked) || locked.Owner.Command != "pgberth dump") {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					got = append(got, l)
					mu.Unlock()
				}
			})
		}
		work.Wait()
		if len(got) != 1 {
			t.Fatalf("round %d: %d have the lock", round, len(got))
		}
		giveBack(t, got[0])
	}
}

// TestS3LockNeedsConditions refuses stores that do not honour conditional writes, before a second run could start.
func TestS3LockNeedsConditions(t *testing.T) {
	server := testS3(t)
	for name, endpoint := range map[string]string{
		"ignores":       withoutConditions(t, server, "If-None-Match", "If-Match"),
		"ignores-match": withoutConditions(t, server, "If-Match"),
		"refuses": func() string {
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					w.WriteHeader(http.StatusNotImplemented)
					_, _ = w.Write([]byte("<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>"))
					return
				}
				reverseTo(t, server, r).ServeHTTP(w, r)
			}))
			t.Cleanup(proxy.Close)
			return proxy.URL
		}(),
	} {
		s := openTestS3(t, endpoint, "s3://"+server.Bucket+"/"+name)
		l, err := s.Lock(t.Context(), "shop", testOwner(s, "pgberth dump"))
		if err == nil || !strings.Contains(err.Error(), "does not honour conditional writes") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			giveBack(t, l)
		}
		if locks, err := s.Locks(t.Context()); err != nil || len(locks) > 0 {
			t.Errorf("%s: locks %v, %v", name, locks, err)
		}
	}
}

func reverseTo(t testing.TB, server *pgtest.S3Server, in *http.Request) http.Handler {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, in.Host
	}}
}

// withoutConditions is a store that does not know some headers of PUT.
func withoutConditions(t testing.TB, server *pgtest.S3Server, headers ...string) string {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			for _, header := range headers {
				r.Header.Del(header)
			}
			for _, header := range []string{"Authorization", "Content-Length", "Accept-Encoding"} {
				r.Header.Del(header)
			}
			r.URL.Host = r.Host
			r = signer.SignV4(*r, pgtest.S3AccessKey, pgtest.S3SecretKey, "", "us-east-1")
		}
		reverseTo(t, server, r).ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// TestS3LockFile sees that a lock says who holds it, and has no secret in it.
func TestS3LockFile(t *testing.T) {
	server := testS3(t)
	s := openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/file")
	owner := testOwner(s, "pgberth dump")
	l := mustLock(t, s, "shop", owner)
	data, err := os.ReadFile(server.File("file/.locks/shop"))
	if err != nil {
		t.Fatal(err)
	}
	var seen lease
	if err := json.Unmarshal(data, &seen); err != nil || seen.Owner != owner || seen.Seconds != 120 || seen.Released {
		t.Errorf("%s: %v", data, err)
	}
	if err := l.Release(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "canary") {
		t.Errorf("a secret: %s", data)
	}
}
