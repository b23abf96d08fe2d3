package archive

import (
	"errors"
	"fmt"
	"io"
)

// CorruptError reports a place where an archive is not what it must be:
// truncated, garbled, or against the format's rules.
type CorruptError struct {
	File   string // the file inside the archive, or the archive itself; empty for a stream without a name
	Offset int64  // bytes from the start of File, at or a little behind the damage
	InText bool   // Offset counts the decompressed text instead
	Err    error
}

func (e *CorruptError) Error() string {
	file, of := e.File, ""
	if file == "" {
		file = "archive"
	}
	if e.InText {
		of = " of its text"
	}
	return fmt.Sprintf("%s is damaged at byte %d%s: %v", file, e.Offset, of, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// VersionError reports an archive whose layout is outside the range this package reads.
type VersionError struct {
	Major, Minor byte
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("archive version %d.%d is not supported: versions 1.%d to 1.%d (written by pg_dump 9.0 to 18) are",
		e.Major, e.Minor, oldestMinor, newestMinor)
}

// ErrNotArchive reports input that does not start as a PostgreSQL archive does.
var ErrNotArchive = errors.New("not a PostgreSQL archive")

// unexpectedEOF turns the end of input in the middle of something into the error that says so.
func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// inFile names the file in which damage was found, or that could not be read.
func inFile(name string, err error) error {
	var corrupt *CorruptError
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &corrupt):
		if corrupt.File == "" {
			corrupt.File = name
		}
		return err
	}
	return fmt.Errorf("read %s: %w", name, err)
}
