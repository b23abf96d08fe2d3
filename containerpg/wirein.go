package containerpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types"

	"github.com/pgberth/pgberth/internal/copywire"
)

// OpenIn implements [copywire.Wire].
func (w *Wire) OpenIn(ctx context.Context, c copywire.Copy) (copywire.Rows, error) {
	if c.Binary {
		// The server takes their end for the whole without a trailer too, and a COMMIT
		// cannot follow them on the same stream.
		return nil, errors.New("rows enter a container compressed in text format only")
	}
	// Rows that are cut short lack the COMMIT that follows them.
	psql := []string{"--command=" + c.Setup, "--command=BEGIN; " + c.Begin, "--command=" + c.SQL, "--file=-"}
	stream, id, err := w.start(ctx, c, wireIn, []string{w.tool}, psql)
	if err != nil {
		return nil, fmt.Errorf("start psql in container %q: %w", w.s.Name, err)
	}
	in := &wireRows{ctx: ctx, w: w, stream: stream, exec: id, stdout: newTail(4 << 10), stderr: newTail(64 << 10)}
	if in.encoder, err = w.encoder(stream.Conn); err != nil {
		stream.Close()
		return nil, err
	}
	in.frames = copywire.Unframe(in.encoder)
	in.unblock = context.AfterFunc(ctx, stream.Close)
	in.listener.Go(func() { in.heard = demux(in.stdout, in.stderr, stream.Reader) })
	return in, nil
}

// wireRows is a COPY into a psql in a container.
type wireRows struct {
	ctx     context.Context // of the whole COPY; its end closes the stream
	w       *Wire
	stream  types.HijackedResponse
	exec    string // ID of the process
	encoder io.WriteCloser
	frames  copywire.Sink // what takes frames apart
	unblock func() bool

	listener       sync.WaitGroup
	stdout, stderr *tail // valid when the listener is done
	heard          error
	warnings       []string
}

// Forward implements [copywire.Sink].
func (in *wireRows) Forward(p []byte) error { return in.frames.Forward(p) }

func (in *wireRows) Write(p []byte) (int, error) { return in.encoder.Write(p) }

// Finish implements [copywire.Rows]. If the context ends meanwhile, the server
// may have stored the rows all the same.
func (in *wireRows) Finish() (int64, error) {
	if in.ctx.Err() != nil {
		return 0, in.Abort(context.Cause(in.ctx))
	}
	_, sent := io.WriteString(in.encoder, "\\.\nCOMMIT;\n")
	sent = errors.Join(sent, in.encoder.Close())
	if sent == nil {
		sent = in.stream.CloseWrite()
	}
	if sent != nil {
		return 0, in.Abort(sent)
	}
	in.listener.Wait()
	defer in.close()
	if in.ctx.Err() != nil {
		return 0, context.Cause(in.ctx)
	}
	if in.heard != nil {
		return 0, in.heard
	}
	code, err := in.w.e.execStatus(in.ctx, in.exec)
	if err != nil {
		return 0, err
	}
	rows, committed := psqlResult(in.stdout.String())
	if code != 0 || !committed {
		return 0, in.failure(code)
	}
	in.warnings = psqlMessages(in.stderr.String()).warnings()
	return rows, nil
}

// Abort implements [copywire.Rows].
func (in *wireRows) Abort(because error) error {
	// Psql may have ended by itself: then the stream ends soon, and its words say
	// why. Otherwise what is closed here ends it, and the COPY with it.
	done := make(chan struct{})
	go func() {
		in.listener.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-in.ctx.Done():
	case <-time.After(lastWords):
	}
	in.stream.Close()
	<-done
	defer in.close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.ctx), execTimeout)
	defer cancel()
	code, err := in.w.e.execStatus(ctx, in.exec) // so that no session is left behind
	messages := psqlMessages(in.stderr.String())
	in.warnings = messages.warnings()
	switch {
	case in.ctx.Err() != nil:
		return context.Cause(in.ctx)
	case err == nil && messages.err() != nil:
		return in.failure(code)
	}
	return because
}

// lastWords bounds the wait for what was said before a stream broke.
const lastWords = time.Second

func (in *wireRows) close() {
	in.unblock()
	in.stream.Close()
	_ = in.encoder.Close() // ends its goroutines; what it still writes goes nowhere
}

// Warnings implements [copywire.Rows].
func (in *wireRows) Warnings() []string { return in.warnings }

// failure is the server's error, or else whatever was said.
func (in *wireRows) failure(code int) error {
	return psqlFailure(in.w.s.Name, code, in.stdout.String(), in.stderr.String())
}

// psqlResult reads the command tags that psql has written.
func psqlResult(stdout string) (rows int64, committed bool) {
	rows = -1
	for line := range strings.Lines(stdout) {
		line = strings.TrimSpace(line)
		if n, ok := strings.CutPrefix(line, "COPY "); ok {
			if count, err := strconv.ParseInt(n, 10, 64); err == nil {
				rows = count
			}
		}
		committed = line == "COMMIT"
	}
	return rows, committed && rows >= 0
}
