package drill

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/repository"
)

// Names of the files of a report in a repository.
const (
	jsonFile = "report.json"
	htmlFile = "report.html"
)

// Stored is a report that was written.
type Stored struct {
	*Report
	Sum       string // SHA-256 of its JSON
	Published string // the same as its repository recorded it, "" in a directory
}

// newID names a report. The names sort by time.
func newID(t time.Time) string {
	return t.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
}

// readReport reads the JSON of a report. One of another format, or of something else, is no report.
func readReport(data []byte) (*Stored, error) {
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if r.Format != ReportFormat || r.ID == "" {
		return nil, errors.New("read report: not a report that this pgberth knows")
	}
	return &Stored{Report: r, Sum: sumOf(data)}, nil
}

// ReadDir returns the reports in a directory, oldest first. What is no report is left out.
func ReadDir(dir string) ([]*Stored, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var list []*Stored
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read report: %w", err)
		}
		if r, err := readReport(data); err == nil {
			list = append(list, r)
		}
	}
	sortStored(list)
	return list, nil
}

// ReadRepository returns the reports that a repository keeps, oldest first.
func ReadRepository(ctx context.Context, repo *repository.Repository) ([]*Stored, error) {
	backups, err := repo.List(ctx, repository.Drills)
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []*Stored
	for _, b := range backups {
		if !b.Good() {
			continue
		}
		data, err := readFile(ctx, b, jsonFile)
		if err != nil {
			return nil, err
		}
		if r, err := readReport(data); err == nil {
			for _, f := range b.Manifest.Files {
				if f.Name == jsonFile {
					r.Published = f.SHA256
				}
			}
			list = append(list, r)
		}
	}
	sortStored(list)
	return list, nil
}

const maxReport = 64 << 20

func readFile(ctx context.Context, folder archive.Folder, name string) (_ []byte, err error) {
	f, err := folder.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %s of %s: %w", name, folder, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxReport))
}

// sortStored puts the oldest first. IDs tell no more than the second.
func sortStored(list []*Stored) {
	slices.SortFunc(list, func(a, b *Stored) int { return cmp.Or(a.Started.Compare(b.Started), strings.Compare(a.ID, b.ID)) })
}

// Last returns the newest report about a database, or nil.
func Last(list []*Stored, database string) *Stored {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Backup.Database == database {
			return list[i]
		}
	}
	return nil
}

// LastPassed returns the newest report of a drill that passed, of a database, or nil.
func LastPassed(list []*Stored, database string) *Stored {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Backup.Database == database && list[i].Verdict == Passed {
			return list[i]
		}
	}
	return nil
}

// Overdue says what is wrong with the drills of a database if the last one that passed is older than maxAge, or there is none, or
// a later one has rejected a backup; else it returns "".
func Overdue(list []*Stored, database string, now time.Time, maxAge time.Duration) string {
	passed, last := LastPassed(list, database), Last(list, database)
	switch {
	case last == nil:
		return "no restore drill was ever run"
	case passed == nil:
		return fmt.Sprintf("no restore drill has passed; the last, %s, was %s", last.ID, last.Verdict)
	case last.Verdict == Rejected:
		return fmt.Sprintf("the last restore drill, %s, rejected the backup", last.ID)
	case now.Sub(passed.Ended) > maxAge:
		return fmt.Sprintf("the last restore drill that passed, %s, is %s old; %s are allowed", passed.ID, human.Duration(now.Sub(passed.Ended)), human.Duration(maxAge))
	}
	return ""
}

// WriteDir writes a report into a directory, as JSON and as a page, and the index page of all reports there, history and
// this one. The one it names as the one before it may also be among those of the chain, elsewhere. It returns the path of
// the page.
func WriteDir(dir string, r *Report, history []*Stored, chain ...*Stored) (string, error) {
	data, sum, err := r.JSON()
	if err != nil {
		return "", err
	}
	page, err := r.HTML(history)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	index, err := Index(append(slices.Clone(history), &Stored{Report: r, Sum: sum}), nil, r.Ended, "", chain...)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.ID+".html")
	for name, content := range map[string][]byte{r.ID + ".json": data, r.ID + ".html": page, "index.html": index} {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return "", err
		}
	}
	return path, nil
}

func writeFile(path string, data []byte) error {
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteRepository keeps a report in a repository, beside the backups: as it is, or without names and values if the backup is
// encrypted. It returns what it has written, which the next report about the database names.
func WriteRepository(ctx context.Context, repo *repository.Repository, r *Report, history []*Stored) (*Stored, error) {
	r = r.forRepository()
	data, sum, err := r.JSON()
	if err != nil {
		return nil, err
	}
	page, err := r.HTML(history)
	if err != nil {
		return nil, err
	}
	locked, ctx, err := repo.Lock(ctx, repository.Drills)
	if err != nil {
		return nil, err
	}
	err = errors.Join(publish(ctx, locked, r, map[string][]byte{jsonFile: data, htmlFile: page}), locked.Release())
	return &Stored{Report: r, Sum: sum, Published: sum}, err
}

func publish(ctx context.Context, locked *repository.Locked, r *Report, files map[string][]byte) (err error) {
	draft, err := locked.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, draft.Abort())
		}
	}()
	m := &archive.Manifest{Format: archive.ManifestFormat, Kind: "drill", Tool: r.Tool, Created: r.Ended.Truncate(time.Second),
		Backup: archive.ManifestBackup{ID: draft.ID, Host: r.Host}, Snapshot: archive.ManifestSnapshot{Time: r.Started},
		Database: archive.ManifestDatabase{Name: r.Backup.Database}}
	for name, data := range files {
		w, err := draft.Create(ctx, name, int64(len(data)))
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
			return errors.Join(err, w.Abort())
		}
		if err := w.Commit(); err != nil {
			return err
		}
		m.Files = append(m.Files, archive.ManifestFile{Name: name, Size: int64(len(data)), SHA256: sumOf(data)})
	}
	return draft.Publish(ctx, m)
}
