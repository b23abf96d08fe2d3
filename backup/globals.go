package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/repository"
)

// GlobalsName is the file of a backup of globals: a script for psql.
const GlobalsName = "globals.sql"

// ObjectPasswords is the object of the warning that password hashes are not in a backup of globals.
const ObjectPasswords = "passwords"

// Globals backs up what the server of a database has besides its databases: roles with their attributes, password hashes,
// memberships and settings, and tablespaces. Of the options it uses what is not about tables. Where the hashes cannot be
// read there are none in the backup, and the result has a warning.
func Globals(ctx context.Context, opts Options) (*Result, error) {
	start := time.Now()
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	result, err := opts.run(ctx, repository.Globals, func(ctx context.Context, w *work) error {
		return w.globals(ctx, &opts)
	})
	if err != nil {
		return nil, err
	}
	result.Elapsed = time.Since(start)
	return result, nil
}

func (w *work) globals(ctx context.Context, o *Options) (err error) {
	conn, err := session.Open(ctx, o.Dump.From.Config, session.Options{ReadOnly: true, Encoding: "UTF8"})
	if err != nil {
		return fmt.Errorf("source %s: connect: %w", o.Dump.From.Name, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	version := session.Version(conn)
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	m := &archive.Manifest{Format: archive.ManifestFormat, Tool: o.Dump.Tool, Created: time.Now().UTC().Truncate(time.Second), Kind: archive.KindGlobals,
		Backup: w.mark, Server: archive.ManifestServer{VersionNum: version}, Database: archive.ManifestDatabase{Name: w.result.Series, Encoding: "UTF8"}}
	if err := conn.QueryRow(ctx, `
SELECT pg_catalog.current_setting('server_version'), system_identifier::text, pg_catalog.now()
FROM pg_catalog.pg_control_system()`).Scan(&m.Server.Version, &m.Server.SystemIdentifier, &m.Snapshot.Time); err != nil {
		return fmt.Errorf("describe the source's server: %w", err)
	}
	m.Snapshot.Time = m.Snapshot.Time.UTC()
	g, err := catalog.ReadGlobals(ctx, conn, version)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("-- Roles and tablespaces of %s, PostgreSQL %s, for psql -X -v ON_ERROR_STOP=1 -d postgres -f.\n", o.Dump.From.Name, m.Server.Version)
	if len(g.PasswordsUnknown) > 0 {
		text := fmt.Sprintf("role %s may not read password hashes, so the backup has none of %s", o.Dump.From.Config.User, strings.Join(g.PasswordsUnknown, ", "))
		w.warn(ObjectPasswords, text, "back up as a superuser, or keep the passwords elsewhere and set them after a restore")
		head += "-- WITHOUT PASSWORDS: " + strings.ReplaceAll(text, "\n", " ") + ".\n"
	}
	return w.writeGlobals(ctx, m, head+g.SQL(true))
}

func (w *work) writeGlobals(ctx context.Context, m *archive.Manifest, sql string) error {
	f, err := w.folder.Create(ctx, GlobalsName, int64(len(sql)))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, sql); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.Commit(); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(sql))
	m.Files = []archive.ManifestFile{{Name: GlobalsName, Size: int64(len(sql)), SHA256: hex.EncodeToString(sum[:])}}
	return w.folder.Publish(ctx, m)
}
