package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/repository"
)

// indexPage is the page of all backups and drills.
type indexPage struct {
	Repository         string
	Now                time.Time
	Verdict            Verdict // "" where there was no drill
	Headline, Sentence string
	Databases          []databaseRow
	Drills             []*Stored
	Backups            []backupRow
	Broken             []string // links of the chain of reports
}

type databaseRow struct {
	Name         string
	Last, Passed *Stored
	Newest       time.Time // backup
}

type backupRow struct {
	Name  string
	Time  time.Time
	Size  int64
	Rows  int64
	Good  bool
	Drill *Stored // of this backup, the last one
}

// maxListed is how many drills and backups an index lists.
const maxListed = 200

// Index is a page of all databases, drills and backups, newest first. It links to the pages of the drills, ID.html beside it.
func Index(reports []*Stored, backups []*repository.Backup, now time.Time, name string, known ...*Stored) ([]byte, error) {
	p := indexPage{Repository: name, Now: now, Broken: Broken(reports, known...)}
	byDatabase := map[string]*databaseRow{}
	row := func(database string) *databaseRow {
		if byDatabase[database] == nil {
			byDatabase[database] = &databaseRow{Name: database}
		}
		return byDatabase[database]
	}
	drilled := map[string]*Stored{}
	for _, r := range reports {
		drilled[r.Backup.Name] = r
		if r.Backup.Database == "" {
			continue
		}
		d := row(r.Backup.Database)
		d.Last = r
		if r.Verdict == Passed {
			d.Passed = r
		}
	}
	for _, b := range backups {
		if b.Series.IsOwn() {
			continue
		}
		entry := backupRow{Name: b.String(), Time: b.Time, Size: b.Size, Good: b.Good(), Drill: drilled[b.String()]}
		if b.Good() {
			entry.Rows = b.Manifest.Total().Rows
			d := row(b.Series.Name())
			if b.Counts(now) && b.Time.After(d.Newest) {
				d.Newest = b.Time
			}
		}
		p.Backups = append(p.Backups, entry)
	}
	for _, d := range byDatabase {
		p.Databases = append(p.Databases, *d)
	}
	slices.SortFunc(p.Databases, func(a, b databaseRow) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(p.Backups, func(a, b backupRow) int { return b.Time.Compare(a.Time) })
	p.Backups = p.Backups[:min(len(p.Backups), maxListed)]
	p.Drills = slices.Clone(reports)
	sortStored(p.Drills)
	slices.Reverse(p.Drills)
	p.Drills = p.Drills[:min(len(p.Drills), maxListed)]
	p.judge()
	return render("index.html", p)
}

// WriteSite writes the index page of a repository, and the page of every drill, into a directory. It returns the drills.
func WriteSite(ctx context.Context, dir string, repo *repository.Repository, now time.Time) ([]*Stored, error) {
	backups, err := repo.List(ctx, "")
	if err != nil {
		return nil, err
	}
	reports, err := ReadRepository(ctx, repo)
	if err != nil {
		return nil, err
	}
	index, err := Index(reports, backups, now, repo.String())
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("write the pages: %w", err)
	}
	for _, r := range reports {
		page, err := r.HTML(reports)
		if err != nil {
			return nil, err
		}
		if err := writeFile(filepath.Join(dir, r.ID+".html"), page); err != nil {
			return nil, err
		}
	}
	return reports, writeFile(filepath.Join(dir, "index.html"), index)
}

// judge says in a sentence how the databases stand.
func (p *indexPage) judge() {
	passed, rejected := 0, 0
	for _, d := range p.Databases {
		switch {
		case d.Last != nil && d.Last.Verdict == Rejected:
			rejected++
		case d.Last != nil && d.Last.Verdict == Passed:
			passed++
		}
	}
	n := len(p.Databases)
	p.Sentence = fmt.Sprintf("%d of %s passed in the last drill.", passed, human.Count(n, "database", "databases"))
	switch {
	case n == 0:
		p.Headline, p.Sentence = "Nothing here yet", "There are no backups and no drills."
	case rejected > 0:
		p.Verdict, p.Headline = Rejected, "A backup was rejected"
	case passed == n:
		p.Verdict, p.Headline = Passed, "Every database passed"
	default:
		p.Verdict, p.Headline = NotRun, "Not everything is proven"
		p.Sentence += " The others were not drilled, or the drill could not be run."
	}
}
