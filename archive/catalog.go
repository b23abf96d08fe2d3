package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/pgberth/pgberth/internal/definitions"
)

// catalogName is the file of the catalog in a directory archive, without the suffix of its
// compression. The manifest lists it; stock tools pass over it.
const catalogName = "pgberth_catalog.json"

const maxCatalog = 1 << 30

// Catalog is what the source's catalogs said in the snapshot of the archive: what a restored
// database can be held against.
type Catalog struct {
	// Superuser is the role that made the server, who owns what no statement can give away.
	Superuser string `json:"superuser"`
	// Image is that of the container the server ran in, if it did.
	Image string `json:"image,omitempty"`
	// Collations are the versions of the database's collation, by name "", and of those that were created.
	Collations map[string]string     `json:"collations,omitempty"`
	Objects    []*definitions.Object `json:"objects"`
}

// Catalog writes the catalog of the archive.
func (d *DirectoryWriter) Catalog(ctx context.Context, c *Catalog) error {
	return d.file(ctx, catalogName+CompressionZstd.suffix(), func(w io.Writer) error {
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		return errors.Join(json.NewEncoder(enc).Encode(c), enc.Close())
	})
}

// ReadCatalog returns the catalog of an archive, or nil if it has none: it is a part of a
// database, or not a directory of pgberth.
func ReadCatalog(ctx context.Context, a Archive) (_ *Catalog, err error) {
	members, ok := a.(*memberArchive)
	if !ok || a.Manifest() == nil || !a.Manifest().hasFile(catalogName+CompressionZstd.suffix()) {
		return nil, nil
	}
	r, full, err := members.content(ctx, catalogName)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	c := new(Catalog)
	limited := io.LimitedReader{R: r, N: maxCatalog}
	if err := json.NewDecoder(&limited).Decode(c); err != nil {
		return nil, &CorruptError{File: full, Err: fmt.Errorf("read the catalog: %w", err)}
	}
	return c, nil
}

func (m *Manifest) hasFile(name string) bool {
	for _, f := range m.Files {
		if f.Name == name {
			return true
		}
	}
	return false
}
