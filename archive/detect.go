package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Kind is a format of archives as pg_dump's --format names it.
type Kind string

const (
	KindDirectory Kind = "directory"
	KindCustom    Kind = "custom"
	KindTar       Kind = "tar"
)

const tocName = "toc.dat"

// PlainSQLError reports a plain SQL dump where an archive is wanted.
type PlainSQLError struct {
	Path    string
	Cluster bool // written by pg_dumpall
}

func (e *PlainSQLError) Error() string {
	database := "DATABASE"
	if e.Cluster {
		database = "postgres"
	}
	return fmt.Sprintf("%s is a plain SQL dump, not an archive: load it with psql -X -v ON_ERROR_STOP=1 -d %s -f %s",
		e.Path, database, ShellQuote(e.Path))
}

// ShellQuote writes a word for a POSIX shell.
func ShellQuote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@", r)
	}
	if s != "" && !strings.HasPrefix(s, "-") && strings.TrimFunc(s, safe) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Detect tells the format of the archive at a path. A plain SQL dump gives a [*PlainSQLError],
// anything else an error that wraps [ErrNotArchive].
func Detect(path string) (Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("detect archive format: %w", err)
	}
	switch {
	case info.IsDir():
		return detectDirectory(path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is neither a file nor a directory; to read an archive from a pipe give - as its path", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("detect archive format: %w", err)
	}
	defer f.Close()
	return detectFile(path, f)
}

func detectFile(path string, f io.ReaderAt) (Kind, error) {
	head := make([]byte, HeadSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("detect archive format of %s: %w", path, err)
	}
	return DetectHead(path, head[:n])
}

func detectDirectory(path string) (Kind, error) {
	for _, suffix := range append([]string{SealedSuffix}, suffixes...) {
		if _, err := os.Stat(filepath.Join(path, tocName+suffix)); err == nil {
			return KindDirectory, nil
		}
	}
	return "", fmt.Errorf("%s has no %s, so it is no archive or one that was never finished: %w", path, tocName, ErrNotArchive)
}

// HeadSize is how many bytes of a file are enough for DetectHead.
const HeadSize = 4096

// DetectHead tells the format from the first bytes of a file, or of a stream, whose path serves
// messages only. Its errors are those of [Detect].
func DetectHead(path string, head []byte) (Kind, error) {
	switch {
	case len(head) == 0:
		return "", fmt.Errorf("%s is empty: %w", path, ErrNotArchive)
	case bytes.HasPrefix(head, []byte(magic)):
		return KindCustom, nil
	case isTar(head):
		return KindTar, nil
	case hasComment(head, "-- PostgreSQL database dump"):
		return "", &PlainSQLError{Path: path}
	case hasComment(head, "-- PostgreSQL database cluster dump"):
		return "", &PlainSQLError{Path: path, Cluster: true}
	}
	for _, c := range []struct{ magic, tool string }{{"\x1f\x8b", "gunzip -c"}, {"\x28\xb5\x2f\xfd", "zstd -dc"}, {"BZh", "bunzip2 -c"}, {"\xfd7zXZ", "xz -dc"}} {
		if strings.HasPrefix(string(head), c.magic) {
			return "", fmt.Errorf("%s is a compressed file; what it holds shows with: %s %s | head: %w", path, c.tool, ShellQuote(path), ErrNotArchive)
		}
	}
	return "", fmt.Errorf("%s: %w", path, ErrNotArchive)
}

// isTar reports whether a file starts with a tar member named toc.dat.
func isTar(head []byte) bool {
	return len(head) >= 512 && string(head[257:262]) == "ustar" && bytes.HasPrefix(head, []byte(tocName+"\x00"))
}

// hasComment reports whether one of the first lines of a text is a certain comment.
func hasComment(head []byte, comment string) bool {
	for i, line := range bytes.Split(head, []byte("\n")) {
		if line = bytes.TrimRight(line, "\r"); string(line) == comment {
			return true
		}
		if i > 8 || len(line) > 0 && !bytes.HasPrefix(line, []byte("--")) && !bytes.HasPrefix(line, []byte(`\`)) {
			return false
		}
	}
	return false
}
