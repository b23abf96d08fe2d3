package archive

import (
	"bytes"
	"io"
)

// A longRow is a row that is larger than a block. It is compressed as it comes, into a frame of its
// own, and keeps other streams from writing until it ends; so it takes no more memory
// than any other row.
type longRow struct {
	t     *TableWriter
	enc   io.WriteCloser
	out   *tailWriter
	rows  rowSum
	start int64
	ended bool
}

// startLongRow turns the block, which is the start of a row, into a long row.
func (r *RowWriter) startLongRow() error {
	t := r.t
	if err := t.failed(); err != nil {
		return err
	}
	t.mu.Lock() // until the row ends
	l := &longRow{t: t, start: t.written, out: &tailWriter{w: (*tableOutput)(t)}}
	var err error
	if t.zlib != nil {
		l.enc = nopWriteCloser{t.zlib}
	} else if l.enc, err = t.c.stream(l.out); err != nil {
		t.mu.Unlock()
		return t.fail(err)
	}
	r.long = l
	head := r.block.raw
	r.block.raw = r.block.raw[:0]
	if _, err := l.write(head); err != nil {
		return r.abandonLongRow(err)
	}
	return nil
}

// write takes bytes up to the end of the row, and says how many those were.
func (l *longRow) write(p []byte) (int, error) {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i+1]
		l.ended = true
	}
	n, err := l.enc.Write(p)
	l.rows.Write(p[:n])
	return n, err
}

// endLongRow closes the frame and lets the other streams go on.
func (r *RowWriter) endLongRow() error {
	l, t := r.long, r.t
	if err := l.enc.Close(); err != nil {
		return r.abandonLongRow(err)
	}
	t.rows.merge(&l.rows)
	if t.seekable {
		f, err := newFrame(l.start, t.written-l.start, l.out.tail, l.rows.bytes)
		if err != nil {
			return r.abandonLongRow(err)
		}
		t.frames = append(t.frames, f)
	}
	r.long = nil
	t.mu.Unlock()
	return nil
}

// abandonLongRow lets the other streams go on, to fail with err.
func (r *RowWriter) abandonLongRow(err error) error {
	r.long.abandon()
	r.long = nil
	return r.t.fail(err)
}

func (l *longRow) abandon() {
	if l.t.zlib == nil {
		l.out.w = io.Discard
		l.enc.Close() // only to free it: the table has failed
	}
	l.t.mu.Unlock()
}

// tailWriter remembers the last bytes it has written.
type tailWriter struct {
	w    io.Writer
	tail []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.tail = append(t.tail, p[max(len(p)-4, 0):]...)
	t.tail = t.tail[max(len(t.tail)-4, 0):]
	return t.w.Write(p)
}
