package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxString bounds one string of the table of contents. It is the most a PostgreSQL
// text value can hold, so no object definition is longer.
const maxString = 1 << 30

// stringStep is how much of a claimed string length is allocated before its bytes have arrived.
const stringStep = 64 << 10

// A decoder reads the primitives of the archive format and counts the bytes it has consumed.
// It fills at most its own buffer ahead, so it can follow a pipe.
type decoder struct {
	r       *bufio.Reader
	off     int64
	intSize int
	offSize int
}

func newDecoder(r io.Reader) *decoder {
	return &decoder{r: bufio.NewReaderSize(r, 64<<10)}
}

// Read and the methods below count what they consume.
func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.off += int64(n)
	return n, err
}

func (d *decoder) corrupt(format string, args ...any) error {
	return d.corruptErr(fmt.Errorf(format, args...))
}

func (d *decoder) corruptErr(err error) error {
	return &CorruptError{Offset: d.off, Err: err}
}

// readErr places a failed read: an end of input is damage, anything else is the caller's reader failing.
func (d *decoder) readErr(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return d.corrupt("%s: %w", what, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read %s at byte %d: %w", what, d.off, err)
}

func (d *decoder) full(p []byte, what string) error {
	if _, err := io.ReadFull(d, p); err != nil {
		return d.readErr(what, err)
	}
	return nil
}

func (d *decoder) byte(what string) (byte, error) {
	b, err := d.r.ReadByte()
	if err != nil {
		return 0, d.readErr(what, err)
	}
	d.off++
	return b, nil
}

// int reads a sign byte and a magnitude of intSize little-endian bytes.
func (d *decoder) int(what string) (int, error) {
	var buf [1 + maxIntSize]byte
	p := buf[:1+d.intSize]
	if err := d.full(p, what); err != nil {
		return 0, err
	}
	v, ok := littleEndian(p[1:])
	negative := p[0] != 0
	if !ok || v > math.MaxInt32 && (!negative || v > -math.MinInt32) {
		return 0, d.corrupt("%s: integer out of range", what)
	}
	if negative {
		return -int(v), nil
	}
	return int(v), nil
}

// string reads a length and that many bytes; a negative length is NULL.
func (d *decoder) string(what string) (NullString, error) {
	n, err := d.int(what)
	if err != nil || n < 0 {
		return NullString{}, err
	}
	if n > maxString {
		return NullString{}, d.corrupt("%s: length %d is too large", what, n)
	}
	buf := make([]byte, min(n, stringStep))
	for read := 0; ; {
		if err := d.full(buf[read:], what); err != nil {
			return NullString{}, err
		}
		if len(buf) == n {
			return String(string(buf)), nil
		}
		read = len(buf)
		buf = append(buf, make([]byte, min(n-read, read))...)
	}
}

// text reads a string that may not be NULL.
func (d *decoder) text(what string) (string, error) {
	s, err := d.string(what)
	if err == nil && !s.Valid {
		err = d.corrupt("%s: NULL is not allowed here", what)
	}
	return s.String, err
}

func (d *decoder) offset() (Offset, error) {
	const what = "data position"
	state, err := d.byte(what)
	if err != nil {
		return Offset{}, err
	}
	var buf [maxIntSize]byte
	p := buf[:d.offSize]
	if err := d.full(p, what); err != nil {
		return Offset{}, err
	}
	pos, ok := littleEndian(p)
	if !ok || pos > math.MaxInt64 {
		return Offset{}, d.corrupt("%s: out of range", what)
	}
	o := Offset{State: OffsetState(state), Pos: int64(pos)}
	if o.State < OffsetUnset || o.State > OffsetNoData {
		return Offset{}, d.corrupt("%s: unknown flag %d", what, state)
	}
	return o, nil
}

// littleEndian reads an unsigned number and reports whether it fits 64 bits.
func littleEndian(p []byte) (v uint64, ok bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if i >= 8 && p[i] != 0 {
			return 0, false
		}
		v = v<<8 | uint64(p[i])
	}
	return v, true
}

// An encoder writes the primitives. The first error sticks; flush returns it.
type encoder struct {
	w       *bufio.Writer
	off     int64
	intSize int
	offSize int
	scratch [1 + maxIntSize]byte
	err     error
}

func newEncoder(w io.Writer, h *Header) *encoder {
	return &encoder{w: bufio.NewWriterSize(w, 64<<10), intSize: int(h.IntSize), offSize: int(h.OffSize)}
}

func (e *encoder) bytes(p []byte) {
	if e.err != nil {
		return
	}
	var n int
	n, e.err = e.w.Write(p)
	e.off += int64(n)
}

func (e *encoder) byte(b byte) { e.bytes(append(e.scratch[:0], b)) }

func (e *encoder) int(v int) {
	if v < math.MinInt32 || v > math.MaxInt32 || e.intSize < 4 && abs(v)>>(8*e.intSize) != 0 {
		e.fail(fmt.Errorf("integer %d does not fit the archive format", v))
		return
	}
	e.bytes(appendInt(e.scratch[:0], v, e.intSize))
}

// appendInt appends a sign byte and the magnitude of v in size bytes.
func appendInt(dst []byte, v, size int) []byte {
	sign := byte(0)
	if v < 0 {
		sign = 1
	}
	return appendUint(append(dst, sign), uint64(abs(v)), size)
}

func appendUint(dst []byte, v uint64, size int) []byte {
	for range size {
		dst = append(dst, byte(v))
		v >>= 8
	}
	return dst
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}

func (e *encoder) string(s NullString) {
	if !s.Valid {
		e.int(-1)
		return
	}
	e.text(s.String)
}

func (e *encoder) text(s string) {
	e.int(len(s))
	if e.err != nil {
		return
	}
	var n int
	n, e.err = e.w.WriteString(s)
	e.off += int64(n)
}

func (e *encoder) offset(o Offset) {
	if e.offSize < 8 && uint64(o.Pos)>>(8*e.offSize) != 0 {
		e.fail(fmt.Errorf("data position %d does not fit %d bytes", o.Pos, e.offSize))
		return
	}
	e.bytes(appendUint(append(e.scratch[:0], byte(o.State)), uint64(o.Pos), e.offSize))
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *encoder) flush() error {
	if e.err == nil {
		e.err = e.w.Flush()
	}
	return e.err
}
