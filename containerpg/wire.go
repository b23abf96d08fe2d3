package containerpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pgberth/pgberth/internal/copywire"
)

// Compression says whether rows are compressed on their way to and from a
// container.
type Compression struct {
	// Mode is "auto", "zstd" or "off". Auto measures the wire to an engine of
	// another machine, and compresses nothing on this one.
	Mode  string
	Level int // of zstd; 0 chooses
}

// ParseCompression reads "auto", "off", "zstd" or "zstd:LEVEL".
func ParseCompression(s string) (Compression, error) {
	mode, level, leveled := strings.Cut(s, ":")
	c := Compression{Mode: mode}
	if !slices.Contains([]string{"auto", "off", "zstd"}, mode) || leveled && mode != "zstd" {
		return c, errors.New("want auto, off, zstd, or zstd:1 to zstd:22")
	}
	if leveled {
		n, err := strconv.Atoi(level)
		if err != nil || n < 1 || n > 22 {
			return c, errors.New("want auto, off, zstd, or zstd:1 to zstd:22")
		}
		c.Level = n
	}
	return c, nil
}

func (c Compression) String() string {
	if c.Level != 0 {
		return fmt.Sprintf("%s:%d", c.Mode, c.Level)
	}
	return c.Mode
}

// A Wire carries rows to and from a server compressed. The other end is the
// container's own zstd, or gzip, and psql: one exec for each stream.
type Wire struct {
	e     *Engine
	s     *Server
	tool  string // zstd or gzip
	level int    // of zstd
}

var _ copywire.Wire = (*Wire)(nil)

// String names the compression.
func (w *Wire) String() string {
	if w.tool == "zstd" {
		return fmt.Sprintf("zstd:%d", w.level)
	}
	return w.tool
}

// Rates of a wire, in bytes a second: from fastWire on compressing costs more than it
// saves, and below slowWire a processor has the time to compress better.
const (
	fastWire = 60 << 20
	slowWire = 2 << 20
)

// Wire answers how rows travel to and from s compressed, or nil if they should
// not. The reason, for the user, is empty where there was nothing to decide.
func (e *Engine) Wire(ctx context.Context, s *Server, c Compression) (wire *Wire, reason string, err error) {
	if c.Mode == "off" || c.Mode == "auto" && !e.IsRemote() {
		return nil, "", nil
	}
	wire = &Wire{e: e, s: s, level: c.Level}
	found, err := e.probe(ctx, s.ID, c.Mode == "auto")
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	if err == nil {
		err = wire.choose(found.tools)
	}
	rate := found.rate
	switch {
	case err != nil && c.Mode == "auto":
		return nil, "rows are not compressed: " + err.Error(), nil
	case err != nil:
		return nil, "", fmt.Errorf("compress rows for container %q: %w", s.Name, err)
	case rate >= fastWire:
		return nil, fmt.Sprintf("the wire to container %s carries %d MB/s: rows are not compressed", s.Name, rate/1e6), nil
	}
	if wire.level == 0 {
		wire.level = level(rate)
	}
	reason = fmt.Sprintf("rows travel to container %s compressed with %s", s.Name, wire)
	if rate > 0 {
		reason = fmt.Sprintf("the wire to container %s carries %.1f MB/s: rows are compressed with %s", s.Name, float64(rate)/1e6, wire)
	}
	return wire, reason, nil
}

// level answers the level of zstd for a wire of a rate, 0 if that is not known. Go's zstd
// takes ten times as long for level 6 as for 1, and makes rows smaller by 0 to 17 %.
func level(rate int64) int {
	switch {
	case rate == 0:
		return 3
	case rate < slowWire:
		return 6
	}
	return 1
}

// choose finds what the container has to decompress with.
func (w *Wire) choose(tools map[string]bool) error {
	switch {
	case !tools["psql"]:
		return errors.New("the container has no psql")
	case tools["zstd"]:
		w.tool = "zstd"
	case tools["gzip"]:
		w.tool = "gzip"
	default:
		return errors.New("the container has neither zstd nor gzip")
	}
	return nil
}

// forgetLibpq keeps settings for other clients of the container away from psql.
const forgetLibpq = `unset PGSERVICE PGSERVICEFILE PGHOSTADDR PGOPTIONS PGTARGETSESSIONATTRS PGSSLMODE PGREQUIREAUTH PGCLIENTENCODING PGTZ PGDATESTYLE
`

// wireIn decompresses its input into a psql, and is the parent of both. $1 is
// the program that decompresses.
const wireIn = forgetLibpq + `trap "" PIPE HUP
z=$1
shift
"$z" -dcq | "$@"
`

// wireOut compresses what a psql writes. The psql is ended when the input ends:
// the engine goes on reading for a program that is gone. Every process is waited
// for by its parent, so that none is left to the server.
const wireOut = forgetLibpq + `exec 3<&0 </dev/null
trap "" PIPE HUP
z=$1 level=$2
shift 2
{
	"$@" 3<&- &
	p=$!
	( read -r line; kill -TERM $p ) <&3 >/dev/null 2>&1 &
	w=$!
	wait $p
	rc=$?
	{ kill $w; wait $w; } 2>/dev/null
	[ "$rc" = 0 ] || echo "pgberth: psql ended with status $rc" >&2
} | "$z" -cq "-$level"
`

// start starts one of the scripts in the container, with what psql is to do.
func (w *Wire) start(ctx context.Context, c copywire.Copy, script string, args, psql []string) (types.HijackedResponse, string, error) {
	command := append([]string{"/bin/sh", "-c", script, "pgberth"}, args...)
	// SQLSTATEs are how errors are told apart.
	command = append(command, "psql", "--no-psqlrc", "--no-password", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose")
	host := w.s.inside.socketDir
	if host == "" {
		host = w.s.inside.host
	}
	env := []string{
		"LC_ALL=C", "PGHOST=" + host, "PGPORT=" + strconv.Itoa(w.s.inside.port), "PGUSER=" + w.s.conn.User, "PGDATABASE=" + c.Database,
		"PGAPPNAME=pgberth", "PGCONNECT_TIMEOUT=30", "PGPASSFILE=/dev/null",
	}
	if w.s.conn.Password != "" {
		env = append(env, "PGPASSWORD="+w.s.conn.Password)
	}
	return w.e.startExec(copywire.Bulk(ctx), w.s.ID, container.ExecOptions{
		Cmd: append(command, psql...), Env: env, User: w.s.inside.user, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
}

// encoder compresses into dst.
func (w *Wire) encoder(dst io.Writer) (io.WriteCloser, error) {
	if w.tool == "gzip" {
		return gzip.NewWriterLevel(dst, gzip.DefaultCompression)
	}
	return zstd.NewWriter(dst, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(w.level)), zstd.WithEncoderConcurrency(runtime.NumCPU()))
}

// decoder is the other way round.
func (w *Wire) decoder(src io.Reader) (io.ReadCloser, error) {
	if w.tool == "gzip" {
		return gzip.NewReader(src)
	}
	d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
