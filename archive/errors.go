package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
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
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return file + " is missing"
	case errors.Is(e.Err, errStranger):
		return file + " " + errStranger.Error()
	case errors.Is(e.Err, errChecksum): // which does not say where
		return fmt.Sprintf("%s is damaged: %v", file, e.Err)
	}
	if e.InText {
		of = " of its text"
	}
	return fmt.Sprintf("%s is damaged at byte %d%s: %v", file, e.Offset, of, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

var errStranger = errors.New("is not part of the archive")

// DamageError is about several files of an archive. It wraps what is wrong with each.
type DamageError struct{ Files []*CorruptError }

// namedFiles is how many of the files an error names.
const namedFiles = 20

func (e *DamageError) Error() string {
	var texts []string
	for _, f := range e.Files[:min(len(e.Files), namedFiles)] {
		texts = append(texts, f.Error())
	}
	if more := len(e.Files) - namedFiles; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

func (e *DamageError) Unwrap() []error {
	list := make([]error, len(e.Files))
	for i, f := range e.Files {
		list[i] = f
	}
	return list
}

// Damages lists the damage that an error is about.
func Damages(err error) []*CorruptError {
	if several, ok := errors.AsType[*DamageError](err); ok {
		return several.Files
	}
	if one, ok := errors.AsType[*CorruptError](err); ok {
		return []*CorruptError{one}
	}
	return nil
}

// damages is an error about files, nil if there are none.
func damages(list []*CorruptError) error {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return &DamageError{list}
}

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
