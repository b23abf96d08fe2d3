package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/owner"
	"github.com/pgberth/pgberth/internal/session"
)

// ServerSpec is the server that a backup asks for.
type ServerSpec struct {
	Major     int
	Superuser string // the role that makes it
	Image     string // of the container the backup was taken from, if it was
	Bytes     int64  // of rows to be restored, 0 if that is not known
}

// Settings are those of a throwaway server. What makes writes durable is left as it is shipped: a
// drill is to take as long as a recovery. What could reach out of the server is off.
func (s ServerSpec) Settings() []string {
	settings := []string{"max_connections=100", "max_wal_size=4GB", "wal_level=minimal", "max_wal_senders=0", "archive_mode=off",
		"max_logical_replication_workers=0", "log_min_messages=warning"}
	if s.Major >= 17 {
		settings = append(settings, "event_triggers=off") // a trigger of logins would meet every session of the drill
	}
	return settings
}

// A Server is made for one drill.
type Server interface {
	Endpoint(database string) *conninfo.Endpoint
	// Alive returns nil if the server runs, and else how it ended.
	Alive(ctx context.Context) error
	FreeDisk(ctx context.Context) (int64, error)
	Info() ServerInfo
	// Keep lets the server live, out of the way of Reap, and says how to look in and how to remove it.
	Keep(ctx context.Context) (look, remove string, err error)
	// Remove removes the server and all that came with it, whether ctx has ended or not.
	Remove(ctx context.Context) error
}

// ServerInfo says where a drill ran.
type ServerInfo struct {
	Kind    string `json:"kind"` // docker or local
	Image   string `json:"image,omitempty"`
	ImageID string `json:"image_id,omitempty"` // digest of its configuration
	Storage string `json:"storage"`            // volume, tmpfs or directory
	// What the server says of itself.
	Version          string            `json:"version"`
	SystemIdentifier string            `json:"system_identifier"`
	Settings         map[string]string `json:"settings"` // those that durability and speed hang on
}

// reported are the settings that the time of a restore hangs on.
var reported = []string{"fsync", "full_page_writes", "synchronous_commit", "wal_level", "max_wal_size", "shared_buffers",
	"maintenance_work_mem", "max_parallel_maintenance_workers"}

// describeServer asks the server what the report tells of it.
func (d *drill) describeServer(ctx context.Context) error {
	conn, err := d.connect(ctx, "postgres")
	if err != nil {
		return infrastructure(err)
	}
	defer session.HangUp(ctx, conn)
	if d.identity, err = identify(ctx, conn); err != nil {
		return infrastructure(err)
	}
	info := &d.report.Server
	if err := conn.QueryRow(ctx, `
SELECT pg_catalog.current_setting('server_version'), system_identifier::text FROM pg_catalog.pg_control_system()`).
		Scan(&info.Version, &info.SystemIdentifier); err != nil {
		return infrastructure(err)
	}
	info.Version, _, _ = strings.Cut(info.Version, " ")
	info.Settings = map[string]string{}
	rows, err := conn.Query(ctx, `SELECT name::text, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE name = ANY ($1)`, reported)
	if err != nil {
		return infrastructure(err)
	}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		info.Settings[name] = value
		return nil
	})
	// Sessions of pgberth turn this one off while they load, and flush in the end.
	info.Settings["synchronous_commit"] = "on"
	return infrastructure(err)
}

// connect opens a session of the server's superuser.
func (d *drill) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	config := d.server.Endpoint(database).Config.Copy()
	config.RuntimeParams["role"] = "none" // whatever the database has been set to
	return session.Open(ctx, config, session.Options{})
}

// ownerFile names, in a temporary folder, the process it belongs to.
const ownerFile = "owner"

// makeFolder makes a temporary folder that Reap knows.
func makeFolder(prefix string) (string, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("make a folder for the drill: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(owner.Self()), 0o600); err != nil {
		return "", errors.Join(fmt.Errorf("make a folder for the drill: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// Reap removes what drills on this machine that are dead have left outside of containers: servers and folders.
func Reap(ctx context.Context) (removed []string, err error) {
	var errs []error
	for _, prefix := range []string{fetchPrefix, localPrefix} {
		found, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
		if err != nil {
			return nil, err
		}
		for _, dir := range found {
			if neverOwned(dir, strings.TrimPrefix(filepath.Base(dir), prefix)) {
				removed = append(removed, "folder "+dir)
				continue
			}
			name, err := os.ReadFile(filepath.Join(dir, ownerFile))
			if err != nil || !owner.Dead(string(name)) {
				continue // not ours to touch, or nobody knows whose
			}
			if err := endServer(ctx, dir); err != nil {
				errs = append(errs, err)
				continue
			}
			if err := removeFolder(ctx, dir); err != nil {
				errs = append(errs, err)
				continue
			}
			removed = append(removed, "folder "+dir)
		}
	}
	return removed, errors.Join(errs...)
}

// neverOwned removes a folder whose process was killed before it could write that it is its own: nothing else is in it.
func neverOwned(dir, suffix string) bool {
	pid, _, _ := strings.Cut(suffix, "-")
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 || !errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
		return false
	}
	file := filepath.Join(dir, ownerFile)
	if info, err := os.Lstat(file); err == nil && info.Size() == 0 {
		_ = os.Remove(file) // if it stays, so does the folder
	}
	return os.Remove(dir) == nil
}

// removeFolder removes a folder in which a guard may just be ending what was still writing.
func removeFolder(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := os.RemoveAll(dir)
		if !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
