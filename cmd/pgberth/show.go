package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
)

const showLong = `show tells what is in an archive: of pgberth dump, or of stock pg_dump as a
directory, a custom or a tar file. With --repo it tells of a backup: DATABASE/ID,
an ID or the beginning of one, latest, or DATABASE/latest. It reads the table of
contents and the manifest only; pgberth verify reads the rest.

Of an encrypted backup it tells, without a key, what was published of it.`

func newShowCommand(c *cli) *cobra.Command {
	var f inputFlags
	cmd := &cobra.Command{
		Use:   "show PATH|BACKUP",
		Short: "Tell what is in an archive or a backup",
		Long:  showLong,
		Args:  onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runShow(cmd.Context(), cmd, c, &f, args[0])
		},
	}
	cmd.Flags().SortFlags = false
	f.add(cmd.Flags())
	return cmd
}

func runShow(ctx context.Context, cmd *cobra.Command, c *cli, f *inputFlags, arg string) error {
	var d *contents
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		if !f.isPath(arg) {
			d, err = f.describeBackup(ctx, cmd, arg, reporter)
			return err
		}
		a, err := f.open(ctx, cmd, arg, reporter)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		d = describeArchive(a.name, a.Archive)
		return nil
	})
	if err != nil {
		return err
	}
	return c.printContents(d)
}

// describeBackup tells what is in a backup. If it holds no database, or is encrypted and there is no key, that is what everybody may know.
func (f *inputFlags) describeBackup(ctx context.Context, cmd *cobra.Command, ref string, reporter progress.Reporter) (_ *contents, err error) {
	repo, b, err := f.find(ctx, cmd, ref, reporter)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	name, m := repo.String()+"/"+b.String(), b.Manifest
	if m.Kind != "" || m.Encrypted() && len(f.identity) == 0 {
		return &contents{
			Path: name, Format: archive.KindDirectory, Layout: m.Archive.Version, Compression: m.Archive.Compression,
			Created: m.Created.Format("2006-01-02T15:04:05"), Database: m.Database.Name, Encoding: m.Database.Encoding,
			ServerVersion: m.Server.Version, DumpVersion: m.Clients["pg_dump"], Objects: map[string]int{}, Tables: []storedTable{}, Manifest: m,
		}, nil
	}
	ids, err := f.identity.identities(reporter)
	if err != nil {
		return nil, err
	}
	a, err := openBackup(ctx, cmd, b, ids)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return describeArchive(name, a), nil
}

// contents is what show tells.
type contents struct {
	Path          string            `json:"path"`
	Format        archive.Kind      `json:"format"`
	Layout        string            `json:"layout"`
	Compression   string            `json:"compression"`
	Created       string            `json:"created"` // by the clock of the dumping host, which archives do not name the zone of
	Database      string            `json:"database"`
	Encoding      string            `json:"encoding"`
	ServerVersion string            `json:"server_version"`
	DumpVersion   string            `json:"pg_dump_version"`
	Objects       map[string]int    `json:"objects"`
	Tables        []storedTable     `json:"tables"`
	Manifest      *archive.Manifest `json:"manifest,omitempty"`
}

// storedTable is a table with rows in the archive. What only a manifest tells
// is left out without one.
type storedTable struct {
	Name   string `json:"name"`
	Rows   *int64 `json:"rows,omitempty"`
	Raw    *int64 `json:"raw_bytes,omitempty"`
	Stored int64  `json:"stored_bytes"`
}

func describeArchive(path string, a archive.Archive) *contents {
	toc, m := a.TOC(), a.Manifest()
	d := &contents{
		Path: path, Format: a.Kind(), Layout: toc.Header.Version(), Compression: toc.Header.Compression.String(),
		Created: toc.Header.Created.In(time.UTC).Format("2006-01-02T15:04:05"), Database: toc.DatabaseName(), Encoding: toc.Encoding(),
		ServerVersion: toc.Header.ServerVersion.String, DumpVersion: toc.Header.DumpVersion.String,
		Objects: map[string]int{}, Tables: []storedTable{}, Manifest: m,
	}
	for _, e := range toc.Entries {
		if e.IsSetting() || e.Desc == archive.DescMarker {
			continue
		}
		d.Objects[e.Desc]++
		if e.Desc != archive.DescTableData {
			continue
		}
		t := storedTable{Name: e.Namespace.String + "." + e.Tag, Stored: a.DataSize(e)}
		if m != nil {
			if known := m.Table(e.ID); known != nil {
				t.Rows, t.Raw = &known.Rows, &known.Raw
			}
		}
		d.Tables = append(d.Tables, t)
	}
	return d
}

func (c *cli) printContents(d *contents) error {
	if c.json {
		return writeJSON(c.stdout, "archive", d)
	}
	return c.print(contentsText(d))
}

func contentsText(d *contents) string {
	t := table{align: "ll"}
	if d.Manifest != nil && d.Manifest.Kind == archive.KindGlobals {
		t.add("globals", printable(d.Path))
		t.add("server", "PostgreSQL "+orDash(d.ServerVersion))
		manifestText(&t, d.Manifest)
		return t.String()
	}
	t.add("archive", printable(d.Path))
	t.add("format", fmt.Sprintf("%s, layout %s, %s", d.Format, d.Layout, d.Compression))
	t.add("database", printable(d.Database)+", "+d.Encoding)
	t.add("server", "PostgreSQL "+orDash(d.ServerVersion))
	t.add("pg_dump", orDash(d.DumpVersion))
	t.add("created", strings.Replace(d.Created, "T", " ", 1)+", by the clock of the dumping host")
	if len(d.Objects) > 0 {
		objects := 0
		for _, n := range d.Objects {
			objects += n
		}
		t.add("objects", human.Thousands(objects)+": "+orDash(objectsByType(d.Objects)))
	}
	manifestText(&t, d.Manifest)
	return t.String() + storedText(d.Tables)
}

// manifestText adds what only a manifest tells.
func manifestText(t *table, m *archive.Manifest) {
	if m == nil {
		t.add("manifest", "none")
		return
	}
	t.add("manifest", "of "+m.Tool)
	if m.Backup.ID != "" {
		t.add("backup", m.Backup.ID+", made on "+orDash(printable(m.Backup.Host)))
	}
	if len(m.Backup.Tags) > 0 {
		t.add("tags", strings.Join(printableAll(m.Backup.Tags), ", "))
	}
	t.add("snapshot", m.Snapshot.Time.UTC().Format("2006-01-02 15:04:05 UTC")+walText(m))
	t.add("system", orDash(m.Server.SystemIdentifier))
	total := m.Total()
	switch {
	case m.Encrypted():
		keys := make([]string, len(m.Encryption.Recipients))
		for i, key := range m.Encryption.Recipients {
			keys[i] = archive.ShortKey(key)
		}
		t.add("encrypted to", strings.Join(keys, ", "))
	case m.Kind == "":
		roles := make([]string, len(m.Roles))
		for i, r := range m.Roles {
			roles[i] = printable(r.Name)
		}
		t.add("locale", orDash(strings.Join(slices.DeleteFunc(
			[]string{m.Database.LocaleProvider, cmp.Or(m.Database.Locale, m.Database.Collate)}, func(s string) bool { return s == "" }), " ")))
		t.add("readable by", "pg_restore "+strconv.Itoa(m.Archive.PgRestore)+" and later")
		t.add("roles", cmp.Or(strings.Join(roles, ", "), "none"))
	}
	if m.Kind == "" {
		t.add("rows", count(total.Rows, "row")+" in "+count(total.Tables, "table")+", "+human.Bytes(total.Raw))
	}
	t.add("files", count(len(m.Files), "file")+", "+human.Bytes(m.Size()))
}

func walText(m *archive.Manifest) string {
	if m.Kind != "" {
		return ""
	}
	return ", WAL " + orDash(m.Snapshot.LSN)
}

// storedText lists the tables, largest first.
func storedText(tables []storedTable) string {
	if len(tables) == 0 {
		return ""
	}
	sorted := slices.SortedStableFunc(slices.Values(tables), func(a, b storedTable) int {
		return cmp.Or(cmp.Compare(b.Stored, a.Stored), strings.Compare(a.Name, b.Name))
	})
	t := table{align: "rrrl"}
	t.add("ROWS", "SIZE", "STORED", "TABLE")
	for _, s := range sorted {
		rows, raw := "-", "-"
		if s.Rows != nil {
			rows, raw = human.Thousands(*s.Rows), human.Bytes(*s.Raw)
		}
		t.add(rows, raw, human.Bytes(s.Stored), printable(s.Name))
	}
	return "\n" + t.String()
}
