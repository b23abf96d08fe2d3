package containerpg

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/pgberth/pgberth/internal/copywire"
)

// rowsMark precedes the number of rows a COPY has sent, in what psql says.
const rowsMark = "pgberth-rows "

// Out implements [copywire.Wire].
func (w *Wire) Out(ctx context.Context, c copywire.Copy, sink copywire.Sink, hash *copywire.RowHash) (copywire.Tally, error) {
	var tally copywire.Tally
	if c.Binary {
		return tally, errors.New("rows leave a container compressed in text format only")
	}
	// What else psql would print must not be among the rows.
	psql := []string{"--quiet", `--command=\o /dev/null`, "--command=" + c.Setup, "--command=" + c.Begin}
	psql = append(psql, clientCopy(c.SQL)...)
	stream, id, err := w.start(ctx, c, wireOut, []string{w.tool, strconv.Itoa(w.outLevel())}, psql)
	if err != nil {
		return tally, fmt.Errorf("start psql in container %q: %w", w.s.Name, err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.Close)()

	stderr := newTail(64 << 10)
	pr, pw := io.Pipe()
	var reader sync.WaitGroup
	reader.Go(func() { _ = pw.CloseWithError(demux(pw, stderr, stream.Reader)) })
	err = w.receive(pr, sink, hash, &tally)
	_ = pr.CloseWithError(errWireDone)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		stream.Close() // psql is ended by the end of its input
	}
	reader.Wait()
	if ctx.Err() != nil {
		return tally, context.Cause(ctx)
	}
	status, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	code, statusErr := w.e.execStatus(status, id)
	said := stderr.String()
	if failure := psqlMessages(said).err(); failure != nil && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		return tally, failure
	}
	rows, counted := rowCount(said, tally.Rows)
	switch {
	case err != nil:
		return tally, err
	case statusErr != nil:
		return tally, statusErr
	case code != 0 || !counted:
		return tally, psqlFailure(w.s.Name, code, "", said)
	case rows != tally.Rows:
		return tally, fmt.Errorf("the server counted %d rows but sent %d", rows, tally.Rows)
	}
	if hash != nil {
		tally.Hash = hash.Sum
	}
	return tally, nil
}

var errWireDone = errors.New("no more rows are wanted")

// outLevel is a level that the container's own processors can bear.
func (w *Wire) outLevel() int {
	if w.tool == "gzip" {
		return 6
	}
	return min(w.level, 19)
}

// clientCopy is what psql is to do for a COPY, and to say its number of rows.
// That of the server it keeps only for its own form of the statement, and only
// while its output goes elsewhere. A statement of several lines, or with strings
// that psql would take apart, has no such form; then what ends without an error is
// whole.
func clientCopy(sql string) []string {
	from, found := strings.CutPrefix(sql, "COPY ")
	from, ends := strings.CutSuffix(from, " TO STDOUT")
	if !found || !ends || strings.Contains(from, "\n") || prefixedString.MatchString(from) {
		return []string{`--command=\o`, "--command=" + sql, `--command=\warn ` + rowsMark + allRows}
	}
	return []string{`--command=\copy ` + from + " TO PSTDOUT", `--command=\warn ` + rowsMark + ":ROW_COUNT"}
}

// prefixedString finds E'...', U&"..." and their like.
var prefixedString = regexp.MustCompile(`[A-Za-z&]['"]`)

// allRows stands for a count that is not known.
const allRows = "all"

// rowCount finds what was said after the mark; received stands for all.
func rowCount(said string, received int64) (int64, bool) {
	for line := range strings.Lines(said) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), rowsMark); ok {
			if n == allRows {
				return received, true
			}
			count, err := strconv.ParseInt(n, 10, 64)
			return count, err == nil
		}
	}
	return 0, false
}

// receive decompresses lines of COPY text, and forwards each as the message in
// which a server would have sent it.
func (w *Wire) receive(src io.Reader, sink copywire.Sink, hash *copywire.RowHash, tally *copywire.Tally) error {
	decoder, err := w.decoder(src)
	if err != nil {
		return unexpected(err)
	}
	defer decoder.Close()
	lines := bufio.NewReaderSize(decoder, 256<<10)
	out := &frames{sink: sink}
	for {
		line, err := lines.ReadSlice('\n')
		var long []byte
		for errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			line, err = lines.ReadSlice('\n')
		}
		if long != nil {
			line = append(long, line...)
		}
		if len(line) > 0 && err == nil {
			if err := out.add(line); err != nil {
				return err
			}
			tally.Rows++
			tally.Bytes += int64(len(line))
			if hash != nil {
				_, _ = hash.Write(line) // it never fails
			}
			continue
		}
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return out.flush()
		}
		return unexpected(err)
	}
}

// unexpected makes the end of data one that came too early.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// frames gathers rows into CopyData messages.
type frames struct {
	sink copywire.Sink
	buf  []byte
}

func (f *frames) add(row []byte) error {
	f.buf = append(f.buf, 'd')
	f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(4+len(row)))
	f.buf = append(f.buf, row...)
	if len(f.buf) < 128<<10 {
		return nil
	}
	return f.flush()
}

func (f *frames) flush() error {
	if f.sink == nil || len(f.buf) == 0 {
		f.buf = f.buf[:0]
		return nil
	}
	err := f.sink.Forward(f.buf)
	f.buf = f.buf[:0]
	return err
}
