package dump

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/pgtools"
)

// manifest gathers, in the snapshot, what stock archives leave out.
func (w *writer) manifest(ctx context.Context) (*archive.Manifest, error) {
	m := &archive.Manifest{
		Format: archive.ManifestFormat, Tool: w.Tool, Created: time.Now().UTC().Truncate(time.Second),
		Archive: archive.ManifestArchive{Version: w.toc.Header.Version(), PgRestore: w.PgRestore, Compression: w.Codec.String()},
		Clients: map[string]string{"pg_dump": pgtools.FormatVersion(w.client.Version())},
		Tables:  w.rows,
		Backup:  w.Backup,
	}
	m.AddUp(int64(w.result.LargeObjects))
	slices.SortFunc(m.Tables, func(a, b archive.ManifestTable) int { return cmp.Compare(a.ID, b.ID) })
	leader := w.snapshot.Leader()
	m.Server.VersionNum = w.snapshot.Version
	if err := leader.QueryRow(ctx, `
SELECT pg_catalog.current_setting('server_version'), system_identifier::text, pg_catalog.now()
FROM pg_catalog.pg_control_system()`).Scan(&m.Server.Version, &m.Server.SystemIdentifier, &m.Snapshot.Time); err != nil {
		return nil, fmt.Errorf("describe the source's server: %w", err)
	}
	m.Snapshot.Time, m.Snapshot.LSN = m.Snapshot.Time.UTC(), w.snapshot.LSN
	if err := w.describeDatabase(ctx, m); err != nil {
		return nil, err
	}
	roles, err := catalog.Roles(ctx, leader, w.snapshot.Version)
	if err != nil {
		return nil, err
	}
	for _, r := range catalog.WithParents(roles, archive.RolesNamed(w.toc.Entries, archive.RestoreOptions{}), nil) {
		// No password: a backup is read by more people than the server is.
		sql := r.CreateSQL(false)
		for _, parent := range r.Parents {
			sql = append(sql, r.GrantSQL(parent))
		}
		m.Roles = append(m.Roles, archive.ManifestRole{Name: r.Name, SQL: sql})
	}
	for _, e := range w.toc.Find(archive.DescDatabaseProperties) {
		m.Settings = append(m.Settings, archive.SplitStatements(e.Defn.String)...)
	}
	return m, nil
}

// describeDatabase reads how the database was made. Columns came and went with
// versions, so the row is read as JSON.
func (w *writer) describeDatabase(ctx context.Context, m *archive.Manifest) error {
	var row map[string]any
	var owner string
	if err := w.snapshot.Leader().QueryRow(ctx, `
SELECT pg_catalog.row_to_json(d), pg_catalog.pg_get_userbyid(d.datdba)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`).Scan(&row, &owner); err != nil {
		return fmt.Errorf("describe the database: %w", err)
	}
	text := func(names ...string) string {
		for _, name := range names {
			if s, ok := row[name].(string); ok {
				return s
			}
		}
		return ""
	}
	m.Database = archive.ManifestDatabase{
		Name: text("datname"), Encoding: w.snapshot.Encoding, Owner: owner,
		LocaleProvider: map[string]string{"": "libc", "c": "libc", "i": "icu", "b": "builtin", "d": "libc"}[text("datlocprovider")],
		Collate:        text("datcollate"), CType: text("datctype"), Locale: text("datlocale", "daticulocale"),
		ICURules: text("daticurules"), CollationVersion: text("datcollversion"),
	}
	return nil
}
