package backup_test

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A limit ends a run: nothing is listed, nothing is left, and nobody is connected any more.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	s.Exec(t, db, `CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 60000) i`)
	locked := s.CreateDB(t)
	s.Exec(t, locked, `CREATE TABLE t (i int)`)
	holder := s.Connect(t, locked)
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE t"); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ db, from, flag, limit, want string }{
		"table lock":    {locked, s.URL(locked), "--lock-wait-timeout", "200ms", "for more than 200ms"},
		"stall at lock": {locked, s.URL(locked), "--stall-limit", "500ms", "nothing moved for 500ms"},
		"whole run":     {locked, s.URL(locked), "--time-limit", "500ms", "the run took longer than 500ms"},
		"stall of rows": {db, freezing(t, s, db, 1<<20), "--stall-limit", "1s", "nothing moved for 1s"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			repo := filepath.Join(t.TempDir(), "repo")
			e := last(pgberth(t, 1, "dump", "--from", test.from, "--repo", repo, "--jobs", "2", "--compress", "none", test.flag, test.limit))
			if !strings.Contains(e.Message, test.want) {
				t.Errorf("%q, want %q", e.Message, test.want)
			}
			if found := backups(t, repo); len(found) > 0 {
				t.Errorf("left: %v", found)
			}
			if test.db == locked {
				assertNoOthers(t, s, locked)
			} else {
				assertNoSessions(t, s, test.db)
			}
		})
	}
}

// assertNoOthers waits until the holder of a lock is the only one that is connected to a database.
func assertNoOthers(t testing.TB, s *pgtest.Server, db string) {
	t.Helper()
	eventually(t, func() bool {
		return s.Row(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('pgberth', 'pg_dump') AND datname = '"+db+"'") == "0"
	})
}

// backups are the folders of all backups in a repository, whole or not.
func backups(t testing.TB, repo string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repo, "[^.]*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			names = append(names, path)
		}
	}
	return names
}

// freezing is the URL of a database through a network that stops to carry what the server sends, after so many bytes. What the
// client sends goes on to arrive, and new connections are carried.
func freezing(t testing.TB, s *pgtest.Server, db string, after int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carried atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	t.Cleanup(func() {
		close(over)
		listener.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port))))
			if err != nil {
				client.Close()
				continue
			}
			wg.Go(func() {
				defer server.Close()
				_, _ = io.Copy(server, client)
			})
			wg.Go(func() {
				defer client.Close()
				buf := make([]byte, 16<<10)
				for {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					if carried.Add(int64(n)) > after {
						<-over
						return
					}
					if _, err := client.Write(buf[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	u, err := url.Parse(s.URL(db))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = listener.Addr().String()
	return u.String()
}
