package archive

import (
	"fmt"
	"io"
)

// A LargeObjectWriter writes the contents of large objects, one after the other.
type LargeObjectWriter struct {
	name string // of the entry, for messages
	add  func(oid uint32, content io.Reader) error
	end  func() error
	list []byte // oids and file names, in directories
	err  error
}

// Add writes one large object. The first failure ends it all.
func (l *LargeObjectWriter) Add(oid uint32, content io.Reader) error {
	if l.err == nil {
		l.err = l.add(oid, content)
	}
	if l.err != nil {
		return fmt.Errorf("write large object %d: %w", oid, l.err)
	}
	return nil
}

// Close ends the large objects of the entry.
func (l *LargeObjectWriter) Close() error {
	if l.err == nil {
		l.err = l.end()
	}
	if l.err != nil {
		return fmt.Errorf("write %s: %w", l.name, l.err)
	}
	return nil
}

// copyAll compresses a content of any length into one frame or member.
func (c *Compressor) copyAll(w io.Writer, content io.Reader) error {
	enc, err := c.stream(w)
	if err != nil {
		return err
	}
	_, err = io.Copy(enc, content)
	if closeErr := enc.Close(); err == nil {
		err = closeErr
	}
	return err
}
