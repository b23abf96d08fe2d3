package archive

import (
	"bytes"
	"errors"
	"io"
)

// terminator ends the rows of a table: the end-of-data line of COPY, and two empty lines
// that set it apart in a plain SQL dump.
const terminator = "\\.\n\n\n"

var errNoTerminator = errors.New("the end-of-data mark is missing: the rows are incomplete")

// hasTerminator reports whether the entry's rows end with the terminator. INSERT statements do
// not, and neither do formats of COPY other than text.
func (e *Entry) hasTerminator() bool {
	if e.CopyStmt.String == "" {
		return false
	}
	tokens := tokenize(e.CopyStmt.String)
	for i, t := range tokens {
		if t.is("STDIN") {
			for _, option := range tokens[i+1:] {
				if option.is("FORMAT") || option.is("BINARY") || option.is("CSV") {
					return false
				}
			}
			return true
		}
	}
	return true
}

// A copyReader strips the terminator from COPY text and insists on it: once, at the
// very end, on a line of its own.
type copyReader struct {
	r     io.Reader
	buf   []byte
	start int   // of what has not been returned
	end   int   // of what has been read
	base  int64 // position of buf[0] in the text
	mark  int64 // position of the terminator, or -1
	err   error // of r
}

func newCopyReader(r io.Reader) *copyReader {
	return &copyReader{r: r, buf: make([]byte, 64<<10), mark: -1}
}

func (c *copyReader) Read(p []byte) (int, error) {
	for c.err == nil && c.available() == 0 {
		c.fill()
	}
	if n := copy(p, c.buf[c.start:c.start+c.available()]); n > 0 || len(p) == 0 {
		c.start += n
		return n, nil
	}
	if errors.Is(c.err, io.EOF) && !c.complete() {
		c.err = c.corrupt(errNoTerminator)
	}
	return 0, c.err
}

// available is how much may be returned: all but what could be the terminator.
func (c *copyReader) available() int { return max(c.end-c.start-len(terminator), 0) }

func (c *copyReader) complete() bool {
	return c.mark >= 0 && string(c.buf[c.start:c.end]) == terminator
}

// fill reads more behind what is held back and looks for the terminator in it.
func (c *copyReader) fill() {
	// The line break before a terminator and the terminator may come in different reads.
	keep := max(c.start-1, 0)
	copy(c.buf, c.buf[keep:c.end])
	c.base += int64(keep)
	c.start, c.end = c.start-keep, c.end-keep
	seen := max(c.end-len("\n\\."), 0)

	var n int
	n, c.err = c.r.Read(c.buf[c.end:])
	c.end += n
	if c.mark < 0 {
		c.find(seen)
	}
	if c.mark >= 0 && c.base+int64(c.end) > c.mark+int64(len(terminator)) {
		c.err = c.corrupt(errors.New("data goes on after the end-of-data mark"))
		c.end = c.start
	}
}

// find sets mark to the first end-of-data line that starts at or after a place in buf.
func (c *copyReader) find(from int) {
	text := c.buf[from:c.end]
	if c.base+int64(from) == 0 && bytes.HasPrefix(text, []byte("\\.\n")) {
		c.mark = 0
	} else if i := bytes.Index(text, []byte("\n\\.\n")); i >= 0 {
		c.mark = c.base + int64(from+i+1)
	}
}

func (c *copyReader) corrupt(err error) error {
	return &CorruptError{Offset: c.base + int64(c.end), InText: true, Err: err}
}

// Rows gives the rows in the decompressed data of the entry, as a [Block] has it: without the
// terminator, whose absence, or anything behind it, is an error. Data without a terminator,
// such as INSERT statements, comes as it is.
func (e *Entry) Rows(data io.Reader) io.Reader {
	if e.hasTerminator() {
		return newCopyReader(data)
	}
	return data
}
