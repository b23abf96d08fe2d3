package nightly_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
)

// TestOneFails sees that a database that is missing and one that cannot be read fail the run, the monitor hears it, and
// the rest is backed up.
func TestOneFails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	good, closed := s.database(100), s.database(100)
	s.server.Exec(t, "postgres", "ALTER DATABASE "+closed+" ALLOW_CONNECTIONS false")
	job, _ := s.expect(nightly.Failed, s.config([]string{closed, good, "shopp", "none_*"}, "ping: "+s.monitor.url()))
	got := failures(job)
	for i, want := range []string{"database " + closed + " allows no connections", "the server has no database shopp; its databases are ", "the server has no database none_*; "} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("got %q, want %q", got[i], want)
		}
	}
	if n := len(s.backups(good)); n != 1 {
		t.Errorf("%d backups", n)
	}
	pings := s.monitor.pings()
	if len(pings) != 2 || pings[0] != "/start" || !strings.HasPrefix(pings[1], "/fail one failed 1 backups [\"database "+closed) {
		t.Errorf("pings: %q", pings)
	}
}

// TestRetention sees that backups go when the policy does not keep them, but not when nothing was published, and not when what
// was published is suspect.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(1000)
	metrics := filepath.Join(s.dir, "one.prom")
	text := s.config([]string{db}, "keep: {last: 1}", "metrics: "+metrics)
	s.expect(nightly.Done, text)
	first := s.backups(db)
	job, _ := s.expect(nightly.Done, text)
	second := s.backups(db)
	if len(first) != 1 || len(second) != 1 || first[0] == second[0] || !slices.Equal(job.Backups[0].Removed, first) || job.Backups[0].Kept != 1 {
		t.Fatalf("%v, then %v: %+v", first, second, job.Backups[0])
	}

	s.server.Exec(t, db, "DELETE FROM games WHERE id > 100")
	job, seen := s.expect(nightly.Suspect, text)
	third := s.backups(db)
	if len(third) != 2 || third[0] != second[0] || len(job.Backups[0].Suspect) == 0 {
		t.Errorf("the backup before a suspect one: %v, then %v", second, third)
	}
	if w := seen.warnings(); len(w) == 0 || !strings.Contains(w[0], "the number of rows fell from 1000 to 100") {
		t.Errorf("%q", w)
	}

	before := metric(t, metrics, "pgberth_last_success_timestamp_seconds", db)
	s.server.Exec(t, "postgres", "ALTER DATABASE "+db+" ALLOW_CONNECTIONS false")
	s.expect(nightly.Failed, text)
	if got := s.backups(db); !slices.Equal(got, third) {
		t.Errorf("a run that published nothing has left %v of %v", got, third)
	}
	// The metrics of the run that failed tell when there was a backup, still.
	if after := metric(t, metrics, "pgberth_last_success_timestamp_seconds", db); after != before {
		t.Errorf("last success was %s and is %s", before, after)
	}
	if status := metric(t, metrics, "pgberth_last_exit_status", ""); status != "1" {
		t.Errorf("last exit status %s", status)
	}
}

// metric is the value of a metric in a file.
func metric(t *testing.T, path, name, db string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	prefix := name + `{job="one"`
	if db != "" {
		prefix += `,database="` + db + `"`
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, prefix+"} "); found {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %s in\n%s", prefix, text)
	return ""
}

// TestMonitorFails sees that a monitor that fails, hangs or is not there is reported and fails no backup.
func TestMonitorFails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(10)
	for _, test := range []struct {
		name string
		then func(w http.ResponseWriter, r *http.Request)
		want string
	}{
		{"fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "it answered 502 Bad Gateway (2 attempts)"},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time (2 attempts)"},
		{"refuses", nil, "connection refused"},
	} {
		s.monitor = newMonitor(t)
		s.monitor.then = test.then
		if test.then == nil {
			s.monitor.Close()
		}
		told := filepath.Join(s.dir, test.name)
		options, seen := s.options(s.config([]string{db}, "ping: "+s.monitor.url(), "hooks: {before: "+waitFor(told)+"}"))
		if test.name == "hangs" {
			options.Ping.Timeout = 100 * time.Millisecond
		}
		options.Reporter = &trigger{Reporter: seen, at: "a ping was not delivered", do: func() {
			if err := os.WriteFile(told, nil, 0o600); err != nil {
				t.Error(err)
			}
		}}
		if report := nightly.Run(t.Context(), options); report.Status != nightly.Done {
			t.Errorf("%s: status %s, %q", test.name, report.Status, failures(report.Jobs[0]))
		}
		warnings := seen.warnings()
		if len(warnings) != 2 || !strings.HasPrefix(warnings[1], "one: a ping was not delivered: ping 127.0.0.1:") || !strings.Contains(warnings[1], test.want) {
			t.Errorf("%s: %q", test.name, warnings)
		}
		if strings.Contains(strings.Join(warnings, ""), "secret") {
			t.Errorf("%s: the URL is told: %q", test.name, warnings)
		}
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(10)
	out := filepath.Join(s.dir, "out")
	after := `after: [sh, -c, 'env | grep ^PGBERTH_HOOK_ | sort > "$$0"', ` + out + `]`
	told := func() string {
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	s.expect(nightly.Done, s.config([]string{db}, "hooks: {before: [['true'], [sh, -c, 'test -z \"$$PGBERTH_HOOK_STATUS$$PGBERTH_HOOK_EXIT_STATUS\"']], "+after+"}"))
	id := s.backups(db)[0]
	want := "PGBERTH_HOOK_BACKUPS=" + db + "/" + id + "\nPGBERTH_HOOK_ERROR=\nPGBERTH_HOOK_EXIT_STATUS=0\nPGBERTH_HOOK_FAILED=\nPGBERTH_HOOK_JOB=one\n" +
		"PGBERTH_HOOK_PHASE=after\nPGBERTH_HOOK_REPOSITORY=" + s.repo() + "\nPGBERTH_HOOK_STATUS=done\n"
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Error(diff)
	}

	// What fails before keeps the backups from being made, and what comes after is run in any case.
	job, _ := s.expect(nightly.Failed, s.config([]string{db}, "hooks: {before: [sh, -c, 'echo no way; exit 3'], "+after+"}"))
	if got := failures(job); len(got) != 1 || got[0] != "before the backups: hook sh: exit status 3; it wrote: no way" {
		t.Errorf("%q", got)
	}
	if got := s.backups(db); len(got) != 1 {
		t.Errorf("backups: %v", got)
	}
	if !strings.Contains(told(), "PGBERTH_HOOK_STATUS=failed\n") || !strings.Contains(told(), "PGBERTH_HOOK_ERROR=before the backups: hook sh: ") {
		t.Error(told())
	}
	job, _ = s.expect(nightly.Failed, s.config([]string{db}, "hooks: {after: ['false']}"))
	if got := failures(job); len(got) != 1 || got[0] != "after the backups: hook false: exit status 1" || len(s.backups(db)) != 2 {
		t.Errorf("%q", got)
	}
}

// TestLockedTable sees that a table that nobody may read ends the run at its limit, and that no session is left on the server.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, test := range []struct{ limits, want string }{
		{"{stall: 500ms}", "nothing moved for 500ms"},
		{"{overall: 1s}", "the run took longer than 1s"}, // which may be before it has come to the database
	} {
		db := s.database(10)
		holder := s.server.Connect(t, db)
		if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE games"); err != nil {
			t.Fatal(err)
		}
		job, _ := s.expect(nightly.Failed, s.config([]string{db}, "limits: "+test.limits))
		if got := failures(job); len(got) != 1 || !strings.Contains(got[0], test.want) {
			t.Errorf("%q", got)
		}
		if got := s.backups(db); len(got) != 0 {
			t.Errorf("backups: %v", got)
		}
		s.expectNoSession(db)
	}
}

// expectNoSession waits for the server to notice that its clients are gone.
func (s *site) expectNoSession(db string) {
	s.t.Helper()
	eventually(s.t, "the end of all sessions", func() bool {
		return s.server.Row(s.t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('pgberth', 'pg_dump') AND datname = '"+db+"'") == "0"
	})
}

// TestTwoAtOnce sees that a run waits for no other, unless it is told to.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(10)
	entered, leave := filepath.Join(s.dir, "entered"), filepath.Join(s.dir, "leave")
	wait := "hooks: {before: [[touch, " + entered + "], " + waitFor(leave) + "]}"
	first := make(chan *nightly.Report, 1)
	options, _ := s.options(s.config([]string{db}, wait))
	go func() { first <- nightly.Run(t.Context(), options) }()
	eventually(t, "the first run", func() bool { return exists(entered) })
	job, _ := s.expect(nightly.Locked, s.config([]string{db}, "ping: "+s.monitor.url()))
	if got := failures(job); len(got) != 1 || !strings.Contains(got[0], "pgberth nightly on ") || !strings.Contains(got[0], " since ") {
		t.Errorf("%q", got)
	}
	if got := s.monitor.pings(); len(got) != 1 || !strings.HasPrefix(got[0], "/fail one locked") {
		t.Errorf("pings: %q", got)
	}
	second := make(chan *nightly.Report, 1)
	waiting, seen := s.options(s.config([]string{db}, "limits: {lock_wait: 1m}"))
	go func() { second <- nightly.Run(t.Context(), waiting) }()
	eventually(t, "the second run", func() bool { return seen.contains("waiting: ") })
	if err := os.WriteFile(leave, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if a, b := <-first, <-second; a.Status != nightly.Done || b.Status != nightly.Done {
		t.Error(failures(a.Jobs[0]), failures(b.Jobs[0]))
	}
	if got := s.backups(db); len(got) != 2 {
		t.Errorf("backups: %v", got)
	}
}

func (e *events) contains(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.list, func(event progress.Event) bool { return strings.Contains(fmt.Sprint(event), text) })
}

// TestInterrupted ends a run while it backs up the first of two databases.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, second := s.database(10), s.database(10)
	holder := s.server.Connect(t, min(first, second))
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE games"); err != nil {
		t.Fatal(err)
	}
	metrics := filepath.Join(s.dir, "one.prom")
	options, _ := s.options(s.config([]string{first, second}, "ping: "+s.monitor.url(), "metrics: "+metrics, "hooks: {after: [touch, "+filepath.Join(s.dir, "after")+"]}"))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	options.Reporter = &trigger{Reporter: options.Reporter, at: "{snapshot", do: interrupt}
	report := nightly.Run(ctx, options)
	if report.Status != nightly.Interrupted || len(report.Jobs[0].Backups) != 1 {
		t.Errorf("%s, %q", report.Status, failures(report.Jobs[0]))
	}
	if got := append(s.backups(first), s.backups(second)...); len(got) != 0 {
		t.Errorf("backups: %v", got)
	}
	if got := s.monitor.pings(); len(got) < 1 || !strings.HasPrefix(got[len(got)-1], "/fail one interrupted") {
		t.Errorf("pings: %q", got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "after")); err != nil {
		t.Errorf("the command after the backups was not run: %v", err)
	}
	if got := metric(t, metrics, "pgberth_last_exit_status", ""); got != "130" {
		t.Errorf("the metrics say %q", got)
	}
	s.expectNoSession(min(first, second))
}

// A trigger does something when an event is reported.
type trigger struct {
	progress.Reporter
	at string
	do func()
}

func (r *trigger) Report(e progress.Event) {
	r.Reporter.Report(e)
	if strings.Contains(fmt.Sprint(e), r.at) {
		r.do()
	}
}

// TestWholeRun sees that the monitor of the run hears of all jobs together, and not of a part of them.
func TestWholeRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	from := s.server.URL("postgres")
	text := fmt.Sprintf(`
ping: {url: %q, exit_status: true}
globals: false
repository: {url: "repo-{job}"}
jobs:
  none: {from: %q, databases: [none]}
  empty: {from: %q, databases: [postgres], limits: {max_fall: 100%%}}
`, s.monitor.url(), from, from)
	report, _ := s.run(text)
	if report.Status != nightly.Failed || report.Jobs[0].Status != nightly.Failed || report.Jobs[1].Status != nightly.Suspect {
		t.Errorf("%+v", report)
	}
	pings := s.monitor.pings()
	if len(pings) != 2 || pings[0] != "/start" || !strings.HasPrefix(pings[1], "/1 none failed 0 backups") || !strings.Contains(pings[1], "\nempty suspect 1 backups") {
		t.Errorf("pings: %q", pings)
	}
	options, _ := s.options(text)
	options.Jobs = options.Config.Jobs[:1]
	nightly.Run(t.Context(), options)
	if n := len(s.monitor.pings()); n != 2 {
		t.Errorf("%d pings", n)
	}
}

// TestCheckAndPlan looks at a repository before its first backup, after it, and when the next is late.
func TestCheckAndPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(10)
	s.now = func() time.Time { return time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC) }
	text := s.config([]string{db, db[:len(db)-1] + "?"}, "keep: {last: 1}")
	options, _ := s.options(text)
	if f := nightly.Probe(t.Context(), options); len(f) != 0 {
		t.Error(f)
	}
	plans := nightly.Plan(t.Context(), options)
	if want := []nightly.BackupPlan{{Database: db, Kept: 1, Removed: []string{}}}; !cmp.Equal(plans[0].Backups, want) || len(plans[0].Failures) != 0 {
		t.Errorf("%+v", plans[0])
	}
	check := func(want ...string) {
		t.Helper()
		statuses, err := nightly.Check(t.Context(), options, options.Config.Jobs[0], nightly.CheckOptions{MaxAge: 26 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range statuses {
			got = append(got, s.Series.Name()+" "+strings.Join(s.Problems, ""))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	check(db + " there is no good backup of " + db)
	s.expect(nightly.Done, text)
	check(db + " ")
	id := s.backups(db)[0]

	// The next night nothing is backed up: what would be done is told, and in the morning the check is red.
	s.now = func() time.Time { return time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) }
	options, _ = s.options(text)
	plans = nightly.Plan(t.Context(), options)
	if want := []nightly.BackupPlan{{Database: db, Kept: 1, Removed: []string{id}}}; !cmp.Equal(plans[0].Backups, want) {
		t.Errorf("%+v", plans[0])
	}
	if got := s.backups(db); !slices.Equal(got, []string{id}) {
		t.Errorf("after a plan: %v", got)
	}
	check(db + " the newest good backup, " + db + "/" + id + ", is 30h00m old; 26h00m are allowed")
}

// TestLostServer tells what has become of a server, before what that led to.
func TestLostServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(1)
	options, _ := s.options(s.config([]string{db}))
	options.Connect = func(ctx context.Context, job *config.Job) (*nightly.Source, error) {
		source, err := connect(ctx, job)
		source.Clients = func(context.Context, *conninfo.Endpoint) ([]pgtools.Client, error) { return nil, nil }
		source.Explain = func(_ context.Context, err error) error {
			return errors.Join(errors.New("the container was removed"), err)
		}
		return source, err
	}
	report := nightly.Run(t.Context(), options)
	if got := failures(report.Jobs[0]); len(got) != 1 || !strings.HasPrefix(got[0], db+": the container was removed\npreflight: pg_dump: none of version") {
		t.Errorf("%q", got)
	}
}
