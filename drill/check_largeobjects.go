package drill

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/internal/human"
)

// lob is what is compared of a large object.
type lob struct {
	size int64
	hash string
}

// largeObjectsAtOnce is how many large objects one query hashes.
const largeObjectsAtOnce = 1000

// checkLargeObjects compares the large objects with the archive's, each by its bytes.
func (d *drill) checkLargeObjects(ctx context.Context, conn *pgx.Conn) error {
	return d.timed("large objects", "Large objects, each by its bytes", func(c *Check) error {
		want, err := d.largeObjects(ctx)
		if err != nil {
			return err
		}
		got, err := restoredLargeObjects(ctx, conn)
		if err != nil {
			return err
		}
		var bytes int64
		for _, oid := range slices.Sorted(maps.Keys(want)) {
			bytes += want[oid].size
			switch is, found := got[oid]; {
			case !found:
				c.fail("", fmt.Sprintf("large object %d is missing", oid))
			case is.size != want[oid].size:
				c.fail("", fmt.Sprintf("large object %d has %d bytes, had %d", oid, is.size, want[oid].size))
			case is.hash != want[oid].hash:
				c.fail("", fmt.Sprintf("large object %d: its bytes are not those of the source", oid))
			}
		}
		for _, oid := range slices.Sorted(maps.Keys(got)) {
			if _, found := want[oid]; !found {
				c.fail("", fmt.Sprintf("large object %d was not in the source", oid))
			}
		}
		expected := len(want)
		if m := d.source.manifest(); m != nil && m.Totals != (archive.ManifestTotals{}) && m.Totals.LargeObjects != int64(expected) {
			expected = int(m.Totals.LargeObjects)
			d.lostLargeObjects(c, want)
		}
		c.Expected = human.Count(expected, "large object", "large objects") + ", " + human.Bytes(bytes)
		c.Found = "the same"
		if c.Status == Bad {
			c.Found = human.Count(len(got), "large object", "large objects")
		}
		return nil
	})
}

// lostLargeObjects is about an archive that does not hold as many large objects as were dumped.
func (d *drill) lostLargeObjects(c *Check, have map[uint32]lob) {
	c.fail("", fmt.Sprintf("the archive holds %s, and %d were dumped", human.Count(len(have), "large object", "large objects"), d.source.manifest().Totals.LargeObjects))
	if d.source.catalog == nil {
		return
	}
	for _, o := range d.source.catalog.Objects {
		oid, err := strconv.ParseUint(o.Name, 10, 32)
		if _, found := have[uint32(oid)]; o.Kind == "large object" && err == nil && !found {
			c.fail("", fmt.Sprintf("large object %d is missing", oid))
		}
	}
}

// largeObjects hashes those of the archive.
func (d *drill) largeObjects(ctx context.Context) (map[uint32]lob, error) {
	found := map[uint32]lob{}
	for _, e := range d.source.archive.TOC().Find(archive.DescBlobs) {
		if err := d.hashEntry(ctx, e, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (d *drill) hashEntry(ctx context.Context, e *archive.Entry, found map[uint32]lob) (err error) {
	objects, err := d.source.archive.LargeObjects(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, objects.Close()) }()
	for {
		oid, content, err := objects.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			found[oid], err = hashPieces(content)
		}
		if err != nil {
			return fmt.Errorf("read large object %d of the archive: %w", oid, err)
		}
	}
}

// hashPieces is the hash that definitions.LargeObjectContents asks a server for: of the hashes of pieces of a
// megabyte, the last of which is not full.
func hashPieces(r io.Reader) (lob, error) {
	piece := make([]byte, 1<<20)
	var l lob
	var hashes []byte
	for {
		n, err := io.ReadFull(r, piece)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return l, err
		}
		l.size += int64(n)
		sum := md5.Sum(piece[:n])
		hashes = hex.AppendEncode(hashes, sum[:])
		if n < len(piece) {
			sum = md5.Sum(hashes)
			l.hash = hex.EncodeToString(sum[:])
			return l, nil
		}
	}
}

// restoredLargeObjects has the server hash its own.
func restoredLargeObjects(ctx context.Context, conn *pgx.Conn) (map[uint32]lob, error) {
	rows, err := conn.Query(ctx, `SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid`)
	if err != nil {
		return nil, fmt.Errorf("list the large objects: %w", err)
	}
	oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return nil, fmt.Errorf("list the large objects: %w", err)
	}
	found := map[uint32]lob{}
	for chunk := range slices.Chunk(oids, largeObjectsAtOnce) {
		sql := fmt.Sprintf(definitions.LargeObjectContents(), chunk[0], chunk[len(chunk)-1])
		rows, err := conn.Query(ctx, "SELECT object::oid, size::bigint, contents FROM ("+sql+") q", pgx.QueryExecModeExec)
		if err != nil {
			return nil, fmt.Errorf("hash the large objects: %w", err)
		}
		var oid uint32
		var l lob
		if _, err := pgx.ForEachRow(rows, []any{&oid, &l.size, &l.hash}, func() error {
			found[oid] = l
			return nil
		}); err != nil {
			return nil, fmt.Errorf("hash the large objects: %w", err)
		}
	}
	return found, nil
}
