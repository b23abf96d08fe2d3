package drill_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
)

var day = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

// sampleReport is a report about a database that has grown for n days.
func sampleReport(n int, verdict drill.Verdict) *drill.Report {
	started := day.AddDate(0, 0, n)
	r := &drill.Report{Format: drill.ReportFormat, ID: started.Format("20060102T150405Z") + "-sample", Verdict: verdict, Tool: "pgberth 1.0.0", Host: "backup-1",
		Started: started, Ended: started.Add(42 * time.Second), Elapsed: 42 * time.Second,
		Backup: drill.BackupInfo{Name: "shop/" + started.Format("20060102T150405Z") + "-9c1e", Repository: "s3://offsite/pg", Database: "shop", Snapshot: started.Add(-4 * time.Hour),
			Manifest: strings.Repeat("9f3c2a71", 8), ServerVersion: "17.6", SystemIdentifier: "7437512907163432987", PgDump: "17.6", Encrypted: true,
			Tables: 48, Rows: 1_200_000 + int64(n)*31_000, Raw: 812_000_000 + int64(n)*9_000_000, Stored: 96_000_000 + int64(n)*1_100_000, LargeObjects: 660},
		Server: drill.ServerInfo{Kind: "docker", Image: "postgres:17", ImageID: "sha256:" + strings.Repeat("4be1d07c", 8), Storage: "volume", Version: "17.6", SystemIdentifier: "7561200459837112341",
			Settings: map[string]string{"fsync": "on", "full_page_writes": "on", "wal_level": "minimal"}},
		RTO: drill.Objective{Measured: 34 * time.Second, Target: 30 * time.Minute}, RPO: drill.Objective{Measured: 4 * time.Hour, Target: 26 * time.Hour},
		Phases: []drill.Phase{{Name: "fetch", Elapsed: 3 * time.Second}, {Name: "files", Elapsed: time.Second}, {Name: "start", Elapsed: 2 * time.Second}, {Name: "pre-data", Elapsed: time.Second},
			{Name: "rows", Elapsed: 17 * time.Second}, {Name: "indexes", Elapsed: 6 * time.Second}, {Name: "constraints", Elapsed: 4 * time.Second}, {Name: "checks", Elapsed: 8 * time.Second}},
		Checks: []drill.Check{
			{Name: "files", Title: "Files are as the manifest has them", Status: drill.OK, Expected: "61 files with their sizes and SHA-256", Found: "all of them", Elapsed: time.Second},
			{Name: "row counts", Title: "Exact number of rows of every table", Status: drill.OK, Expected: "1,200,000 rows in 48 tables", Found: "1,200,000 rows", Elapsed: 5 * time.Second},
			{Name: "extensions", Title: "Extensions and their versions", Status: drill.Warned, Expected: "3 extensions", Found: "the same",
				Problems: []string{"extension ltree comes back as version 1.3, which this server makes; the source has 1.2"}},
		}, Previous: strings.Repeat("01ab34cd", 8)}
	switch verdict {
	case drill.Rejected:
		r.Reason = "1 check failed: objects"
		r.Checks = append(r.Checks, drill.Check{Name: "objects", Title: "All objects are there, and no others", Status: drill.Bad, Expected: "994 objects", Found: "2 differences",
			Problems: []string{"table public." + strings.Repeat("a_very_long_name_without_a_break_", 8) + " is missing", `<script>alert("no")</script> was not in the source`}, More: 7})
	case drill.NotRun:
		r.Reason, r.Checks, r.Phases = "image postgres:17 is not on the docker engine and could not be pulled; docker pull postgres:17, or --image", nil, nil
	}
	return r
}

// pagesOf writes the pages of a few reports and returns the directory.
func pagesOf(t testing.TB) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	var history []*drill.Stored
	for n, verdict := range []drill.Verdict{drill.Passed, drill.Passed, drill.Rejected, drill.Passed, drill.NotRun, drill.Passed} {
		r := sampleReport(n, verdict)
		if r.Previous = ""; n > 0 {
			r.Previous = history[n-1].Sum
		}
		path, err := drill.WriteDir(dir, r, history)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := r.Stored()
		if err != nil {
			t.Fatal(err)
		}
		if history = append(history, stored); n >= 2 {
			files = append(files, path)
		}
	}
	return dir, append(files, filepath.Join(dir, "index.html"))
}

// The pages, in a real browser: nothing is loaded, nothing complains, nothing sticks out, on a phone and on a desk.
func TestPagesInBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		pgtest.Unavailable(t, "no Chromium here; run testdata/setup.sh chromium")
	}
	_, files := pagesOf(t)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2*time.Minute))...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	var complaints []string
	enable := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, networkErr := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		_, logErr := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		_, runtimeErr := cdp.Call(ctx, target, runtime.Enable, cdp.Empty{})
		return errors.Join(networkErr, logErr, runtimeErr)
	})
	if err := chromedp.Do(ctx, enable); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	if err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "file" && u.Scheme != "data" || u.Scheme == "file" && e.Type != network.ResourceTypeDocument {
				complaints = append(complaints, "requested "+e.Request.URL)
			}
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, "console: "+string(e.Type))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			complaints = append(complaints, "log: "+e.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, width := range []int64{390, 1280} {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+file)); err != nil {
				t.Fatal(err)
			}
			overflow, err1 := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth - window.innerWidth`))
			height, err2 := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollHeight`))
			heading, err3 := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("h1")))
			shot, err4 := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err := errors.Join(err1, err2, err3, err4); err != nil {
				t.Fatal(err)
			}
			if overflow > 0 || height < 300 || heading == "" || len(shot) == 0 {
				t.Errorf("%s at %d: %d pixels stick out, %d high, heading %q", filepath.Base(file), width, overflow, height, heading)
			}
			if shots := os.Getenv("PGBERTH_TEST_SCREENSHOTS"); shots != "" {
				name := fmt.Sprintf("%s-%d.png", strings.TrimSuffix(filepath.Base(file), ".html"), width)
				if err := os.WriteFile(filepath.Join(shots, name), shot, 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// What came from a database is text on a page, and nothing else.
func TestPagesEscape(t *testing.T) {
	page, err := sampleReport(3, drill.Rejected).HTML(nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(page); strings.Contains(text, "<script") || !strings.Contains(text, "&lt;script&gt;") || strings.Contains(text, "ZgotmplZ") {
		t.Error("a name was taken for markup, or a value for an attack")
	}
}

// Reports make a chain: each names the hash of the one before it.
func TestHistory(t *testing.T) {
	dir, _ := pagesOf(t)
	list, err := drill.ReadDir(dir)
	if err != nil || len(list) != 6 {
		t.Fatalf("%d reports, %v", len(list), err)
	}
	data, err := os.ReadFile(filepath.Join(dir, list[2].ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := list[2].Stored()
	if err != nil || again.Sum != list[2].Sum || len(data) == 0 {
		t.Errorf("the hash of a report is %s when it is read and %s when it is written, %v", list[2].Sum, again.Sum, err)
	}
	if p := drill.LastPassed(list[:5], "shop"); p == nil || p.ID != list[3].ID {
		t.Errorf("the last that passed: %v", p)
	}
	now := list[5].Ended.Add(9 * 24 * time.Hour)
	if problem := drill.Overdue(list, "shop", now, 8*24*time.Hour); !strings.Contains(problem, "is 9d00h old; 8d00h are allowed") {
		t.Errorf("overdue: %q", problem)
	}
	if drill.Overdue(list, "shop", now, 10*24*time.Hour) != "" || drill.Overdue(list, "other", now, time.Hour) == "" {
		t.Error("overdue")
	}
	list[4].Verdict = drill.Rejected
	if problem := drill.Overdue(list[:5], "shop", list[4].Ended, 8*24*time.Hour); !strings.Contains(problem, list[4].ID+", rejected the backup") {
		t.Errorf("after a drill that rejected the backup: %q", problem)
	}
}

// What was changed or removed since shows, but for the last report.
func TestChain(t *testing.T) {
	dir, _ := pagesOf(t)
	list, err := drill.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	index := func() string {
		t.Helper()
		page, err := drill.Index(list, nil, day, "")
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	if broken := drill.Broken(list); len(broken) > 0 || strings.Contains(index(), "chain broken") {
		t.Errorf("an untouched chain: %q", broken)
	}
	other := *list[1].Report
	other.Verdict = drill.Rejected
	changed, err := other.Stored()
	if err != nil {
		t.Fatal(err)
	}
	alone := *list[2].Report
	alone.Previous = ""
	restarted, err := alone.Stored()
	if err != nil {
		t.Fatal(err)
	}
	republished := *list[5]
	republished.Published = strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		list []*drill.Stored
		want string
	}{
		"removed":       {[]*drill.Stored{list[0], list[2], list[3]}, "that report " + list[2].ID + " names as the one before it was changed or removed"},
		"first removed": {list[1:], "that report " + list[1].ID + " names"},
		"changed":       {[]*drill.Stored{list[0], changed, list[2], list[3]}, "that report " + list[2].ID + " names"},
		"names none":    {[]*drill.Stored{list[0], list[1], restarted}, "report " + restarted.ID + " names none"},
		"not as it was": {[]*drill.Stored{list[0], list[1], list[2], list[3], list[4], &republished}, "report " + republished.ID + " is not as it was published"},
		"last removed":  {list[:5], ""},
	} {
		if got := strings.Join(drill.Broken(c.list), "\n"); !strings.Contains(got, c.want) || c.want == "" && got != "" || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if broken := drill.Broken(list[3:], list[:3]...); len(broken) > 0 {
		t.Errorf("with those that are elsewhere: %q", broken)
	}
	list = list[1:]
	if !strings.Contains(index(), "chain broken") {
		t.Error("the page does not say that the chain is broken")
	}
}
