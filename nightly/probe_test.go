package nightly_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// TestProbe sees that all problems are found at once, and that nothing is left.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.monitor.then = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	file := filepath.Join(s.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(s.config([]string{"none"}, "ping: "+s.monitor.url()), s.repo(), file+"/repo", 1)
	options, _ := s.options(text)
	var got []string
	for _, f := range nightly.Probe(t.Context(), options) {
		got = append(got, f.Text)
	}
	if len(got) != 3 || !strings.Contains(got[0], "it answered 404 Not Found; is the check's URL right?") || !strings.Contains(got[1], "not a directory") ||
		!strings.Contains(got[2], "the server has no database none") {
		t.Errorf("%q", got)
	}
	options, _ = s.options(strings.Replace(s.config([]string{"postgres"}), s.server.Password, "wrong", 1))
	options.Connect = func(ctx context.Context, job *config.Job) (*nightly.Source, error) {
		source, err := connect(ctx, job)
		source.Endpoint = source.Endpoint.WithPassword("wrong")
		source.Endpoint.Config.Host = "127.0.0.1" // the socket asks for none
		return source, err
	}
	if f := nightly.Probe(t.Context(), options); len(f) != 1 || !strings.Contains(f[0].Text, "password authentication failed") {
		t.Error(f)
	}
	repo, err := repository.Open(t.Context(), s.repo(), repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	if left, err := repo.List(t.Context(), ""); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

// TestPasswordsOutOfReach warns of the passwords that a role may not read, and of the way to say that this is known.
func TestPasswordsOutOfReach(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(1)
	role := db + "_backup"
	s.server.Exec(t, db, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'hunter2'; GRANT SELECT ON games TO %[1]s", role))
	t.Cleanup(func() { s.server.Exec(t, db, fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %[1]s", role)) })
	text := strings.Replace(s.config([]string{db}), s.server.URL("postgres"), s.server.URLAs(role, "hunter2", "postgres"), 1)
	_, seen := s.expect(nightly.Suspect, strings.Replace(text, "globals: false", "globals: true", 1))
	if w := strings.Join(seen.warnings(), "\n"); !strings.Contains(w, "role "+role+" may not read password hashes") {
		t.Error(w)
	}
	for _, e := range seen.list {
		if w, ok := e.(progress.Warning); ok && !strings.Contains(w.Remedy, "globals: without-passwords") {
			t.Error(w.Remedy)
		}
	}
	_, seen = s.expect(nightly.Done, strings.Replace(text, "globals: false", "globals: without-passwords", 1))
	if w := seen.warnings(); len(w) > 0 {
		t.Error(w)
	}
}

// TestProbeFindsWhatADumpNeeds is about what would be seen at night only.
func TestProbeFindsWhatADumpNeeds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(1)
	options, _ := s.options(s.config([]string{db}, "metrics: none/x.prom", "hooks: {before: ['true'], after: [[/none/hook, hunter2]]}"))
	options.Connect = func(ctx context.Context, job *config.Job) (*nightly.Source, error) {
		source, err := connect(ctx, job)
		source.Clients = func(context.Context, *conninfo.Endpoint) ([]pgtools.Client, error) { return nil, nil }
		return source, err
	}
	var got []string
	for _, f := range nightly.Probe(t.Context(), options) {
		got = append(got, f.Database+": "+f.Text)
	}
	if text := strings.Join(got, "\n"); len(got) != 3 || !strings.Contains(text, "/none/hook") || strings.Contains(text, "hunter2") ||
		!strings.Contains(text, "the metrics could not be written") || !strings.Contains(text, db+": preflight: pg_dump: none of version") {
		t.Errorf("%q", got)
	}
}
