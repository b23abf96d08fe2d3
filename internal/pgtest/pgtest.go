// Package pgtest gives tests real PostgreSQL servers: a throwaway cluster on the host, and containers
// of the images that testdata/image builds.
//
// A test package that uses it calls [Main] from its TestMain, or hands a [Suite] to testscript.Main.
// A server that a test shares with others outlives the test and ends with the package; everything else
// is removed when its test ends. What a killed test binary leaves behind, the next one removes.
//
// Where a server cannot be had, the test is skipped with the reason, or fails
// when PGBERTH_TEST_DISALLOW_SKIP is set.
package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Suite is a package's tests, with the servers they share. It is what testscript.Main takes.
type Suite struct{ M *testing.M }

// Run runs the tests, stops the servers they shared and returns the exit status.
func (s Suite) Run() int {
	running.Store(true)
	reapDirs()
	status := s.M.Run()
	if err := errors.Join(shared.close(), removeProgram()); err != nil {
		fmt.Fprintf(os.Stderr, "pgtest: %v\n", err)
		return max(status, 1)
	}
	return status
}

// Main runs the tests of a package and stops the servers they shared. Call it from TestMain.
func Main(m *testing.M) {
	if status := (Suite{m}).Run(); status != 0 {
		os.Exit(status)
	}
}

// Unavailable skips the test, or fails it where skipping is disallowed.
func Unavailable(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("PGBERTH_TEST_DISALLOW_SKIP") != "" {
		t.Fatalf("pgtest: "+format, args...)
	}
	t.Skipf("pgtest: "+format, args...)
}

// Soak tells whether there is time for all that a test could look at: PGBERTH_TEST_SOAK is set, as make soak does.
func Soak() bool { return os.Getenv("PGBERTH_TEST_SOAK") != "" }

// Long skips a test that takes more than make test has time for.
func Long(t testing.TB) {
	t.Helper()
	if !Soak() {
		t.Skip("PGBERTH_TEST_SOAK is not set")
	}
}

// Root returns the folder that holds the module.
func Root(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return root
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// A registry keeps the servers that tests share, each started once, by the first test that wants it.
type registry struct {
	mu      sync.Mutex
	servers map[string]*sharedServer
}

type sharedServer struct {
	once   sync.Once
	server *Server
	err    error
}

var shared = registry{servers: make(map[string]*sharedServer)}

// get returns the server of that key, starting it if this is the first call.
func (r *registry) get(key string, start func() (*Server, error)) (*Server, error) {
	r.mu.Lock()
	s, ok := r.servers[key]
	if !ok {
		s = new(sharedServer)
		r.servers[key] = s
	}
	r.mu.Unlock()
	s.once.Do(func() { s.server, s.err = start() })
	return s.server, s.err
}

func (r *registry) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first error
	for _, s := range r.servers {
		if s.server == nil {
			continue
		}
		if err := s.server.remove(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Majors returns the major versions that a test of the matrix covers, oldest first:
// those of $PGBERTH_TEST_MAJORS, such as "13 15 17 18", or 15 and 17.
func Majors(t testing.TB) []int {
	t.Helper()
	words := strings.Fields(os.Getenv("PGBERTH_TEST_MAJORS"))
	if len(words) == 0 {
		return []int{15, 17}
	}
	majors := make([]int, len(words))
	for i, word := range words {
		major, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("pgtest: PGBERTH_TEST_MAJORS: %v", err)
		}
		majors[i] = major
	}
	slices.Sort(majors)
	return majors
}
