package archive

import (
	"fmt"
	"strings"
	"time"
)

const (
	magic       = "PGDMP"
	oldestMinor = 12
	newestMinor = 16
	maxIntSize  = 8
)

// Format is the layout of an archive as its header names it.
type Format byte

// A directory archive carries FormatTar in its header: its table of contents is a tar archive's.
const (
	FormatCustom Format = 1
	FormatTar    Format = 3
)

// Compression is the algorithm an archive's data went through.
type Compression byte

const (
	CompressionNone Compression = 0
	CompressionGzip Compression = 1 // zlib framing inside custom archives, gzip files in directories
	CompressionLZ4  Compression = 2
	CompressionZstd Compression = 3
)

func (c Compression) String() string {
	switch c {
	case CompressionNone:
		return "none"
	case CompressionGzip:
		return "gzip"
	case CompressionLZ4:
		return "lz4"
	case CompressionZstd:
		return "zstd"
	}
	return fmt.Sprintf("algorithm %d", byte(c))
}

// Header is what precedes the entries of a table of contents.
type Header struct {
	Major, Minor, Revision byte
	IntSize, OffSize       byte
	Format                 Format
	Compression            Compression
	Level                  int // zlib level, stored up to version 1.14 only; -1 is the default one
	Created                LocalTime
	DBName                 NullString
	ServerVersion          NullString
	DumpVersion            NullString
}

// LocalTime is the dump's start on the clock of the dumping host. The format keeps no time zone.
type LocalTime struct {
	Sec, Min, Hour, Day, Month, Year int // Month counts from 0, Year from 1900, as C's struct tm does
	DST                              int
}

// NewLocalTime is t's own wall clock.
func NewLocalTime(t time.Time) LocalTime {
	dst := 0
	if t.IsDST() {
		dst = 1
	}
	return LocalTime{t.Second(), t.Minute(), t.Hour(), t.Day(), int(t.Month()) - 1, t.Year() - 1900, dst}
}

// In reads the wall clock as of a zone.
func (t LocalTime) In(loc *time.Location) time.Time {
	return time.Date(t.Year+1900, time.Month(t.Month+1), t.Day, t.Hour, t.Min, t.Sec, 0, loc)
}

func (t *LocalTime) fields() []*int {
	return []*int{&t.Sec, &t.Min, &t.Hour, &t.Day, &t.Month, &t.Year, &t.DST}
}

// Version is the layout's version, such as "1.16".
func (h *Header) Version() string { return fmt.Sprintf("%d.%d", h.Major, h.Minor) }

// ServerMajor is the major version of the server that was dumped, or 0 if the header does not say.
func (h *Header) ServerMajor() int {
	major := 0
	if _, err := fmt.Sscanf(strings.TrimSpace(h.ServerVersion.String), "%d", &major); err != nil {
		return 0
	}
	return major
}

func (h *Header) hasTableAM() bool { return h.Minor >= 14 }
func (h *Header) hasAlgo() bool    { return h.Minor >= 15 }
func (h *Header) hasRelKind() bool { return h.Minor >= 16 }
func (h *Header) hasOffsets() bool { return h.Format == FormatCustom }
func (h *Header) supported() bool {
	return h.Major == 1 && h.Minor >= oldestMinor && h.Minor <= newestMinor
}
func validSize(n byte) bool { return n >= 1 && n <= maxIntSize }

func (h *Header) read(d *decoder) error {
	var lead [len(magic)]byte
	if err := d.full(lead[:], "magic"); err != nil {
		return err
	}
	if string(lead[:]) != magic {
		return ErrNotArchive
	}
	var fixed [2]byte
	if err := d.full(fixed[:], "version"); err != nil {
		return err
	}
	h.Major, h.Minor = fixed[0], fixed[1]
	if !h.supported() {
		return &VersionError{h.Major, h.Minor}
	}
	var sizes [4]byte
	if err := d.full(sizes[:], "header"); err != nil {
		return err
	}
	h.Revision, h.IntSize, h.OffSize, h.Format = sizes[0], sizes[1], sizes[2], Format(sizes[3])
	if !validSize(h.IntSize) || !validSize(h.OffSize) {
		return d.corrupt("header: integer size %d, offset size %d", h.IntSize, h.OffSize)
	}
	if h.Format != FormatCustom && h.Format != FormatTar {
		return d.corrupt("header: unknown format %d", h.Format)
	}
	d.intSize, d.offSize = int(h.IntSize), int(h.OffSize)
	if err := h.readCompression(d); err != nil {
		return err
	}
	for _, f := range h.Created.fields() {
		v, err := d.int("creation time")
		if err != nil {
			return err
		}
		*f = v
	}
	for _, f := range []*NullString{&h.DBName, &h.ServerVersion, &h.DumpVersion} {
		s, err := d.string("header")
		if err != nil {
			return err
		}
		*f = s
	}
	return nil
}

func (h *Header) readCompression(d *decoder) error {
	if h.hasAlgo() {
		b, err := d.byte("compression")
		h.Compression = Compression(b)
		return err
	}
	level, err := d.int("compression level")
	h.Level, h.Compression = level, CompressionGzip
	if level == 0 {
		h.Compression = CompressionNone
	}
	return err
}

func (h *Header) write(e *encoder) {
	e.bytes([]byte(magic))
	e.bytes([]byte{h.Major, h.Minor, h.Revision, h.IntSize, h.OffSize, byte(h.Format)})
	if h.hasAlgo() {
		e.byte(byte(h.Compression))
	} else {
		e.int(h.Level)
	}
	created := h.Created
	for _, f := range created.fields() {
		e.int(*f)
	}
	e.string(h.DBName)
	e.string(h.ServerVersion)
	e.string(h.DumpVersion)
}
