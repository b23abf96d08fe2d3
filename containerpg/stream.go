package containerpg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// demux copies the two output streams of a container, which the engine sends as
// frames of one connection, until the connection ends. Unlike docker's own
// stdcopy it holds no frame in memory, and an end within a frame is an error.
func demux(stdout, stderr io.Writer, r io.Reader) error {
	buf := make([]byte, 64<<10)
	var header [8]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read container output: %w", err)
		}
		var dst io.Writer
		switch header[0] {
		case 1:
			dst = stdout
		case 2:
			dst = stderr
		case 3:
			dst = io.Discard // the engine's own errors; the exit status follows
		default:
			return fmt.Errorf("read container output: unknown stream %d", header[0])
		}
		frame := &io.LimitedReader{R: r, N: int64(binary.BigEndian.Uint32(header[4:]))}
		// The wrappers keep io.CopyBuffer from finding a shortcut around buf.
		if _, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{frame}, buf); err != nil {
			return err
		}
		if frame.N > 0 {
			return fmt.Errorf("read container output: %w", io.ErrUnexpectedEOF)
		}
	}
}

// A tail keeps the last bytes written to it.
type tail struct {
	buf []byte
	max int
}

func newTail(max int) *tail { return &tail{max: max} }

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - t.max; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.buf) }

// errTooLong says that more came than a reader was ready to keep.
var errTooLong = errors.New("output is too long")

// A head keeps what is written to it and refuses more than max bytes.
type head struct {
	buf []byte
	max int
}

func (h *head) Write(p []byte) (int, error) {
	if len(h.buf)+len(p) > h.max {
		return 0, errTooLong
	}
	h.buf = append(h.buf, p...)
	return len(p), nil
}
