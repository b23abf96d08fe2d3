package nightly_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/ping"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A site is a server with databases, a folder for a repository, and a monitor.
type site struct {
	t       *testing.T
	server  *pgtest.Server
	dir     string
	monitor *monitor
	now     func() time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{t: t, server: pgtest.Host(t), dir: t.TempDir(), monitor: newMonitor(t)}
}

// database makes a database with a table of some rows.
func (s *site) database(rows int) string {
	s.t.Helper()
	db := s.server.CreateDB(s.t)
	s.server.Exec(s.t, db, fmt.Sprintf("CREATE TABLE games AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, %d) n", rows))
	return db
}

// config is a configuration of one job, called one, that backs up some databases.
func (s *site) config(databases []string, more ...string) string {
	text := "jobs:\n  one:\n    from: " + s.server.URL("postgres") + "\n    globals: false\n    repository: " + s.repo() + "\n"
	if len(databases) > 0 {
		text += fmt.Sprintf("    databases: [%s]\n", quoted(databases))
	}
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

func (s *site) repo() string { return filepath.Join(s.dir, "repo") }

// write writes a configuration into a file.
func (s *site) write(text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "pgberth.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *site) options(text string) (nightly.Options, *events) {
	s.t.Helper()
	cfg, err := config.Read(strings.NewReader(text), filepath.Join(s.dir, "pgberth.yaml"), os.LookupEnv, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	seen := &events{}
	return nightly.Options{Config: cfg, Connect: connect, Reporter: seen, Now: s.now, Tool: "pgberth test",
		Summary: summary, Ping: ping.Check{Attempts: 2, Backoff: time.Millisecond}}, seen
}

func (s *site) run(text string) (*nightly.Report, *events) {
	s.t.Helper()
	options, seen := s.options(text)
	return nightly.Run(s.t.Context(), options), seen
}

// expect runs a configuration and wants a status.
func (s *site) expect(want nightly.Status, text string) (*nightly.JobReport, *events) {
	s.t.Helper()
	report, seen := s.run(text)
	if report.Status != want {
		s.t.Fatalf("status %s, want %s: %q", report.Status, want, failures(report.Jobs[0]))
	}
	return report.Jobs[0], seen
}

// backups are the IDs of the good backups of a database.
func (s *site) backups(db string) []string {
	s.t.Helper()
	repo, err := repository.Open(s.t.Context(), s.repo(), repository.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer repo.Close()
	list, err := repo.List(s.t.Context(), repository.Database(db))
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, b := range list {
		if !b.Good() {
			s.t.Errorf("%s is listed: %v", b, b.Err)
		}
		ids = append(ids, b.ID)
	}
	return ids
}

func failures(job *nightly.JobReport) (texts []string) {
	for _, f := range job.Failures {
		texts = append(texts, strings.TrimPrefix(f.Database+": "+f.Text, ": "))
	}
	return texts
}

func summary(jobs []*nightly.JobReport) string {
	var b strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&b, "%s %s %d backups %q\n", job.Job, job.Status, len(job.Backups), failures(job))
	}
	return b.String()
}

func connect(ctx context.Context, job *config.Job) (*nightly.Source, error) {
	endpoint, err := conninfo.Parse(job.From.Reveal())
	if err != nil {
		return nil, err
	}
	return &nightly.Source{
		Endpoint: endpoint,
		Clients: func(ctx context.Context, _ *conninfo.Endpoint) ([]pgtools.Client, error) {
			return pgtools.FindHost(ctx, "")
		},
		Close: func() error { return nil },
	}, nil
}

// eventually waits for something that must come, however busy the machine is.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has not come to be", what)
		}
	}
}

// exists reports whether a file is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// waitFor is a command that waits for a file.
func waitFor(path string) string {
	return `[sh, -c, 'until test -e "$$0"; do sleep 0.01; done', ` + path + `]`
}

// events keeps what was reported.
type events struct {
	mu   sync.Mutex
	list []progress.Event
}

func (e *events) Report(event progress.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

func (e *events) warnings() (texts []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.list {
		if w, ok := event.(progress.Warning); ok {
			texts = append(texts, w.Object+": "+w.Text)
		}
	}
	return texts
}

// A monitor takes pings. What it hears begins with the path behind that of its check.
type monitor struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
	then  func(w http.ResponseWriter, r *http.Request) // nil answers with 200
}

const checkPath = "/5f0c7a5e-0f5a-4f5e-8f5b-secret"

func newMonitor(t *testing.T) *monitor {
	m := &monitor{}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *monitor) url() string { return m.URL + checkPath }

func (m *monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	m.heard = append(m.heard, strings.TrimSpace(strings.TrimPrefix(r.URL.Path, checkPath)+" "+string(body)))
	m.mu.Unlock()
	if m.then != nil {
		m.then(w, r)
	}
}

func (m *monitor) pings() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.heard)
}

func quoted(words []string) string {
	var list []string
	for _, w := range words {
		list = append(list, fmt.Sprintf("%q", w))
	}
	return strings.Join(list, ", ")
}
