package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Verification is what Verify has read.
type Verification struct {
	Tables       int
	Rows         int64 // of tables stored as COPY text
	LargeObjects int64
	Bytes        int64 // decompressed
}

// Verify reads every byte of an archive: all data must decompress, rows must be complete, and
// where there is a manifest all files must be those it lists, with its sizes, checksums, numbers of rows
// and row hashes. Damage is reported as a [*CorruptError] that names the file, or as a [*DamageError] of several.
func Verify(ctx context.Context, a Archive) (Verification, error) {
	a, check := a.checked()
	v, err := verifyData(ctx, a)
	stored := check(ctx)
	if stored == nil {
		return v, err
	}
	return v, closer(err, stored)
}

// closer is what the check of the files as they are stored found; where an error in reading the data tells where in a file
// the damage is whose checksum is wrong, with that.
func closer(err, stored error) error {
	read, ok := errors.AsType[*CorruptError](err)
	list := Damages(stored)
	i := slices.IndexFunc(list, func(c *CorruptError) bool { return ok && c.File == read.File && errors.Is(c, errChecksum) })
	switch {
	case i < 0:
		return stored
	case len(list) == 1:
		return err
	}
	list = slices.Clone(list)
	list[i] = read
	return damages(list)
}

// verifyData reads the data of all entries.
func verifyData(ctx context.Context, a Archive) (Verification, error) {
	var v verifier
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, e := range a.TOC().Entries {
		if !e.HasData() || e.Offset.State == OffsetNoData {
			continue
		}
		group.Go(func() error {
			if e.Desc == DescBlobs {
				return v.largeObjects(ctx, a, e)
			}
			return v.table(ctx, a, e)
		})
	}
	err := group.Wait()
	return Verification{
		Tables:       int(v.tables.Load()),
		Rows:         v.rows.Load(),
		LargeObjects: v.objects.Load(),
		Bytes:        v.bytes.Load(),
	}, err
}

// VerifyStored proves that an archive is as it was written, in the cheapest way: by the
// checksums of its manifest, or else by reading every byte as Verify does.
func VerifyStored(ctx context.Context, a Archive) error {
	if a.Manifest() != nil {
		_, check := a.checked()
		return check(ctx)
	}
	_, err := Verify(ctx, a)
	return err
}

type verifier struct {
	tables, rows, objects, bytes atomic.Int64
}

func (v *verifier) table(ctx context.Context, a Archive, e *Entry) (err error) {
	r, err := a.TableData(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var sum rowSum
	n, err := io.Copy(&sum, r)
	v.bytes.Add(n)
	v.tables.Add(1)
	if err != nil {
		return err
	}
	if !e.hasTerminator() {
		return nil
	}
	v.rows.Add(sum.rows)
	if m := a.Manifest(); m != nil {
		if t := m.Table(e.ID); t != nil {
			return sum.compare(e, t)
		}
	}
	return nil
}

// compare holds the rows read against the manifest.
func (s *rowSum) compare(e *Entry, t *ManifestTable) error {
	switch {
	case s.rows != t.Rows:
		return &CorruptError{File: e.FileName, Offset: s.bytes, InText: true, Err: fmt.Errorf("%s has %d rows, the manifest says %d", e.Name(), s.rows, t.Rows)}
	case s.bytes != t.Raw:
		return &CorruptError{File: e.FileName, Offset: s.bytes, InText: true, Err: fmt.Errorf("%s has %d bytes of rows, the manifest says %d", e.Name(), s.bytes, t.Raw)}
	case t.Hash != "" && s.String() != t.Hash:
		return &CorruptError{File: e.FileName, Offset: s.bytes, InText: true, Err: fmt.Errorf("the rows of %s are not those the manifest has a hash of", e.Name())}
	}
	return nil
}

func (v *verifier) largeObjects(ctx context.Context, a Archive, e *Entry) (err error) {
	objects, err := a.LargeObjects(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, objects.Close()) }()
	for {
		oid, content, err := objects.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, content)
		v.bytes.Add(n)
		v.objects.Add(1)
		if err != nil {
			return fmt.Errorf("read large object %d: %w", oid, err)
		}
	}
}
