package archive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// ManifestName is the file of the manifest in a directory archive. It is written last: a directory
	// with it is a whole backup.
	ManifestName = "pgberth.json"
	// ManifestFormat is the version of the manifest's schema.
	ManifestFormat = 1

	maxManifest = 256 << 20
)

// Manifest is what pgberth keeps beside a table of contents: what stock archives leave out, and
// what it takes to prove that an archive is whole.
type Manifest struct {
	Format   int               `json:"format"`
	Tool     string            `json:"tool"` // such as "pgberth 1.2.0"
	Created  time.Time         `json:"created"`
	Kind     string            `json:"kind,omitempty"` // empty for an archive of a database, or KindGlobals
	Backup   ManifestBackup    `json:"backup,omitzero"`
	Server   ManifestServer    `json:"server"`
	Database ManifestDatabase  `json:"database"`
	Snapshot ManifestSnapshot  `json:"snapshot"`
	Archive  ManifestArchive   `json:"archive"`
	Totals   ManifestTotals    `json:"totals,omitzero"`
	Clients  map[string]string `json:"clients,omitempty"`  // program to version, such as pg_dump
	Roles    []ManifestRole    `json:"roles,omitempty"`    // in the order in which they can be created
	Settings []string          `json:"settings,omitempty"` // SQL: settings of the database and of roles in it
	Tables   []ManifestTable   `json:"tables,omitempty"`
	Files    []ManifestFile    `json:"files"`
	// Encryption is how the files are encrypted. If they are, roles, settings and tables are in the manifest that is among
	// them, which is that of the files as they were before.
	Encryption ManifestEncryption `json:"encryption,omitzero"`
	// Checksum is the SHA-256 of the manifest as it is encoded with this field empty.
	Checksum string `json:"checksum"`
}

// KindGlobals is the kind of a manifest whose files are what a server has besides its databases, as SQL.
const KindGlobals = "globals"

// ManifestEncryption is how files are encrypted.
type ManifestEncryption struct {
	Method     string   `json:"method"` // age
	Recipients []string `json:"recipients"`
}

// Encrypted reports whether the files are encrypted, and this is what was published of their manifest.
func (m *Manifest) Encrypted() bool { return m.Encryption.Method != "" }

// ManifestBackup is what an archive is as a backup in a repository.
type ManifestBackup struct {
	ID   string   `json:"id"`
	Host string   `json:"host,omitempty"` // that the backup was made on
	Tags []string `json:"tags,omitempty"`
}

// ManifestTotals sums up the tables and large objects.
type ManifestTotals struct {
	Tables       int   `json:"tables"`
	Rows         int64 `json:"rows"`
	Raw          int64 `json:"raw_bytes"`
	Stored       int64 `json:"stored_bytes"`
	LargeObjects int64 `json:"large_objects"`
}

// ManifestServer is the server the archive was taken from.
type ManifestServer struct {
	Version          string `json:"version"`     // as server_version has it
	VersionNum       int    `json:"version_num"` // as server_version_num has it
	SystemIdentifier string `json:"system_identifier,omitempty"`
}

// ManifestDatabase is how the database was created.
type ManifestDatabase struct {
	Name             string `json:"name"`
	Encoding         string `json:"encoding"`
	LocaleProvider   string `json:"locale_provider,omitempty"` // libc, icu or builtin
	Collate          string `json:"collate,omitempty"`
	CType            string `json:"ctype,omitempty"`
	Locale           string `json:"locale,omitempty"` // of the icu and builtin providers
	ICURules         string `json:"icu_rules,omitempty"`
	CollationVersion string `json:"collation_version,omitempty"`
	Owner            string `json:"owner,omitempty"`
}

// ManifestSnapshot is the instant all of the archive shows.
type ManifestSnapshot struct {
	Time time.Time `json:"time"`
	LSN  string    `json:"lsn,omitempty"`
}

// ManifestArchive is the layout that was chosen.
type ManifestArchive struct {
	Version     string `json:"version"`     // such as "1.16"
	PgRestore   int    `json:"pg_restore"`  // the oldest major of pg_restore that reads it
	Compression string `json:"compression"` // such as "zstd:3"
}

// ManifestRole is a role the archive needs.
type ManifestRole struct {
	Name string   `json:"name"`
	SQL  []string `json:"sql"` // creates the role and gives it its attributes, memberships and settings
}

// ManifestTable is what is known of the rows of a TABLE DATA entry.
type ManifestTable struct {
	ID     int    `json:"id"` // of the entry
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Raw    int64  `json:"raw_bytes"` // of COPY text, without the terminator
	Stored int64  `json:"stored_bytes"`
	// Hash is the sum modulo 2^64 of the 64-bit xxHash of every row with its line break, in 16
	// hexadecimal digits. It does not depend on the order of rows.
	Hash string `json:"row_hash,omitempty"`
}

// ManifestFile is a file of the archive.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Table returns what a manifest that was encoded or decoded says of a TABLE DATA entry, or nil.
func (m *Manifest) Table(entryID int) *ManifestTable {
	i, ok := slices.BinarySearchFunc(m.Tables, entryID, func(t ManifestTable, id int) int { return cmp.Compare(t.ID, id) })
	if !ok {
		return nil
	}
	return &m.Tables[i]
}

// Total is the sum of the tables, and the number of large objects, which manifests from before there were totals do not tell.
func (m *Manifest) Total() ManifestTotals {
	if m.Totals != (ManifestTotals{}) {
		return m.Totals
	}
	return m.sum(0)
}

// AddUp sets the totals to the sum of the tables.
func (m *Manifest) AddUp(largeObjects int64) { m.Totals = m.sum(largeObjects) }

func (m *Manifest) sum(largeObjects int64) ManifestTotals {
	t := ManifestTotals{Tables: len(m.Tables), LargeObjects: largeObjects}
	for _, table := range m.Tables {
		t.Rows += table.Rows
		t.Raw += table.Raw
		t.Stored += table.Stored
	}
	return t
}

// Size is the number of bytes of all files but the manifest itself.
func (m *Manifest) Size() int64 {
	var total int64
	for _, f := range m.Files {
		total += f.Size
	}
	return total
}

// ErrNewerManifest reports a manifest of a later schema than this program knows.
var ErrNewerManifest = errors.New("the manifest was written by a newer pgberth")

// ending is how an encoded manifest ends.
func ending(checksum string) []byte { return []byte(`"checksum": "` + checksum + "\"\n}\n") }

// Encode returns the manifest as it is stored, with its checksum, which it sets. It sorts
// tables by id and files by name.
func (m *Manifest) Encode() ([]byte, error) {
	slices.SortFunc(m.Tables, func(a, b ManifestTable) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(m.Files, func(a, b ManifestFile) int { return strings.Compare(a.Name, b.Name) })
	m.Checksum = ""
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	sum := sha256.Sum256(b.Bytes())
	m.Checksum = hex.EncodeToString(sum[:])
	b.Truncate(b.Len() - len(ending("")))
	b.Write(ending(m.Checksum))
	return b.Bytes(), nil
}

// DecodeManifest reads a manifest. Every change after Encode has written it shows.
func DecodeManifest(r io.Reader) (*Manifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	corrupt := func(err error) error { return &CorruptError{File: ManifestName, Err: err} }
	if len(data) > maxManifest {
		return nil, corrupt(errors.New("the manifest is too large"))
	}
	m := new(Manifest)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		var version struct {
			Format int `json:"format"`
		}
		if json.Unmarshal(data, &version) == nil && version.Format > ManifestFormat {
			return nil, newer(version.Format)
		}
		return nil, corrupt(err)
	}
	if m.Format > ManifestFormat {
		return nil, newer(m.Format)
	}
	before, found := bytes.CutSuffix(data, ending(m.Checksum))
	sum := sha256.New()
	sum.Write(before)
	sum.Write(ending(""))
	if !found || m.Checksum != hex.EncodeToString(sum.Sum(nil)) {
		return nil, corrupt(errors.New("the manifest was changed after it was written: its checksum does not match"))
	}
	if err := m.check(); err != nil {
		return nil, corrupt(err)
	}
	return m, nil
}

func newer(format int) error {
	return fmt.Errorf("manifest format %d, this program knows %d: %w", format, ManifestFormat, ErrNewerManifest)
}

// check holds the manifest to its rules.
func (m *Manifest) check() error {
	if m.Format != ManifestFormat {
		return fmt.Errorf("manifest format %d is unknown", m.Format)
	}
	if m.Encrypted() && m.Encryption.Method != "age" {
		return fmt.Errorf("encryption by %q is unknown", m.Encryption.Method)
	}
	last := ""
	for _, f := range m.Files {
		sum, err := hex.DecodeString(f.SHA256)
		switch {
		case !isFlatName(f.Name) || f.Name == ManifestName:
			return fmt.Errorf("file name %q is not allowed", f.Name)
		case f.Name <= last:
			return fmt.Errorf("file %q is listed twice, or out of order", f.Name)
		case f.Size < 0 || err != nil || len(sum) != sha256.Size:
			return fmt.Errorf("file %q: size or checksum is no number", f.Name)
		}
		last = f.Name
	}
	if m.Totals != (ManifestTotals{}) && len(m.Tables) > 0 && m.Totals != m.sum(m.Totals.LargeObjects) {
		return errors.New("the totals are not those of the tables")
	}
	lastID := 0
	for _, t := range m.Tables {
		if t.ID <= lastID || t.Rows < 0 || t.Raw < 0 || t.Stored < 0 {
			return fmt.Errorf("table %q.%q: id or numbers are out of range, or it is listed twice", t.Schema, t.Name)
		}
		lastID = t.ID
	}
	return nil
}

// isFlatName reports whether a name from inside an archive can only be that of a file in it.
func isFlatName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") && !strings.Contains(name, `\`)
}
