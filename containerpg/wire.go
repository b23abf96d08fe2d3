package containerpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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

// fastWire is the rate, in bytes a second, from which compressing costs more than
// it saves.
const fastWire = 60 << 20

// Wire answers how rows travel to and from s compressed, or nil if they should
// not. The reason, for the user, is empty where there was nothing to decide.
func (e *Engine) Wire(ctx context.Context, s *Server, c Compression) (wire *Wire, reason string, err error) {
	if c.Mode == "off" || c.Mode == "auto" && !e.IsRemote() {
		return nil, "", nil
	}
	wire = &Wire{e: e, s: s, level: c.Level}
	var rate int64
	var choosing, measuring error
	var both sync.WaitGroup
	both.Go(func() { choosing = wire.choose(ctx) })
	if c.Mode == "auto" {
		rate, measuring = e.measureOnce(ctx, s.ID)
	}
	both.Wait()
	switch {
	case choosing != nil && c.Mode == "auto":
		return nil, "rows are not compressed: " + choosing.Error(), nil
	case choosing != nil:
		return nil, "", fmt.Errorf("compress rows for container %q: %w", s.Name, choosing)
	case measuring != nil:
		return nil, "", fmt.Errorf("measure the wire to container %q: %w", s.Name, measuring)
	case rate >= fastWire:
		return nil, fmt.Sprintf("the wire to container %s carries %d MB/s: rows are not compressed", s.Name, rate/1e6), nil
	}
	if wire.level == 0 {
		wire.level = 3
		if rate > 0 && rate < fastWire/4 {
			wire.level = 6 // the processors would only wait for the wire
		}
	}
	reason = fmt.Sprintf("rows travel to container %s compressed with %s", s.Name, wire)
	if rate > 0 {
		reason = fmt.Sprintf("the wire to container %s carries %.1f MB/s: rows are compressed with %s", s.Name, float64(rate)/1e6, wire)
	}
	return wire, reason, nil
}

// choose finds what the container has to decompress with.
func (w *Wire) choose(ctx context.Context) error {
	out, err := w.e.exec(ctx, w.s.ID, "/bin/sh", "-c", "for p in psql zstd gzip; do command -v $p; done; exit 0")
	if err != nil {
		return err
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		found[strings.TrimSpace(line[strings.LastIndexByte(line, '/')+1:])] = true
	}
	switch {
	case !found["psql"]:
		return errors.New("the container has no psql")
	case found["zstd"]:
		w.tool = "zstd"
	case found["gzip"]:
		w.tool = "gzip"
	default:
		return errors.New("the container has neither zstd nor gzip")
	}
	return nil
}

// measureOnce is measure, whose answer holds for all containers of an engine: their wire is one.
func (e *Engine) measureOnce(ctx context.Context, id string) (int64, error) {
	e.measured.mu.Lock()
	defer e.measured.mu.Unlock()
	if e.measured.rate == 0 {
		rate, err := e.measure(ctx, id)
		if err != nil {
			return 0, err
		}
		e.measured.rate = rate
	}
	return e.measured.rate, nil
}

// measurement is what was found out about an engine's wire.
type measurement struct {
	mu   sync.Mutex
	rate int64 // bytes a second; 0: not yet known
}

// A wire is measured by a little first, and by more only if that was too quick to tell.
const (
	firstPiece = 256 << 10
	mostPieces = 16 << 20
	enoughTime = 150 * time.Millisecond
)

// measureScript says that it is there, that the first piece, of $1 bytes, has come, and by its end that all has.
const measureScript = `trap "" PIPE HUP
echo
head -c "$1" >/dev/null
echo
exec cat >/dev/null
`

// measure finds how many bytes a second an exec takes in a container. That takes half a
// second or so, and longer only where a wire carries less than 256 kB in one. What is
// sent cannot be compressed.
func (e *Engine) measure(ctx context.Context, id string) (int64, error) {
	stream, _, err := e.startExec(ctx, id, container.ExecOptions{
		Cmd: []string{"/bin/sh", "-c", measureScript, "sh", strconv.Itoa(firstPiece)}, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.Close)()
	block := make([]byte, firstPiece)
	_, _ = rand.Read(block) // it never fails
	heard := func() error {
		_, err := io.ReadFull(stream.Reader, make([]byte, len("\x01\x00\x00\x00\x00\x00\x00\x01\n")))
		return err
	}
	if err := heard(); err != nil {
		return 0, err
	}
	start := time.Now()
	if _, err := stream.Conn.Write(block); err != nil {
		return 0, err
	}
	if err := heard(); err != nil {
		return 0, err
	}
	rate := float64(firstPiece) / time.Since(start).Seconds()
	if time.Since(start) > enoughTime {
		return int64(rate), nil
	}
	// A round trip is in this, too: the more, the further there is to go.
	size := int(min(mostPieces, max(4*firstPiece, rate/3)))
	start = time.Now()
	for sent := 0; sent < size; sent += len(block) {
		if _, err := stream.Conn.Write(block); err != nil {
			return 0, err
		}
	}
	if err := stream.CloseWrite(); err != nil {
		return 0, err
	}
	if err := demux(io.Discard, io.Discard, stream.Reader); err != nil {
		return 0, err
	}
	return int64(float64(size) / time.Since(start).Seconds()), nil
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
	return w.e.startExec(ctx, w.s.ID, container.ExecOptions{
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
