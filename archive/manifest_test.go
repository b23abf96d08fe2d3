package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestManifestRoundTrip(t *testing.T) {
	m := testManifest(Codec{CompressionZstd, 3})
	m.Tables = []ManifestTable{{ID: 9, Name: "b"}, {ID: 3, Schema: "public", Name: "a\nb", Rows: 5, Raw: 50, Stored: 20, Hash: "00000000000000ff"}}
	m.Files = []ManifestFile{{"toc.dat", 5, strings.Repeat("ab", 32)}, {"3.dat.zst", 20, strings.Repeat("cd", 32)}}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(m); err != nil || !bytes.Equal(plain.Bytes(), data) {
		t.Errorf("not the JSON of it, %v:\n%s", err, data)
	}
	got, err := DecodeManifest(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	if a := got.Table(3); a == nil || a.Rows != 5 || got.Table(4) != nil {
		t.Errorf("%+v", a)
	}
	// Every change shows.
	for i := range data {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		if _, err := DecodeManifest(bytes.NewReader(flipped)); err == nil {
			t.Fatalf("byte %d changed from %q to %q", i, data[i], flipped[i])
		}
		if _, err := DecodeManifest(bytes.NewReader(data[:i])); err == nil {
			t.Fatalf("cut at byte %d", i)
		}
	}
}

func TestManifestRules(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for name, change := range map[string]func(*Manifest){
		"path":         func(m *Manifest) { m.Files = []ManifestFile{{"../x", 1, sum}} },
		"itself":       func(m *Manifest) { m.Files = []ManifestFile{{ManifestName, 1, sum}} },
		"twice":        func(m *Manifest) { m.Files = []ManifestFile{{"x", 1, sum}, {"x", 1, sum}} },
		"size":         func(m *Manifest) { m.Files = []ManifestFile{{"x", -1, sum}} },
		"checksum":     func(m *Manifest) { m.Files = []ManifestFile{{"x", 1, "ab"}} },
		"table twice":  func(m *Manifest) { m.Tables = []ManifestTable{{ID: 1}, {ID: 1}} },
		"table number": func(m *Manifest) { m.Tables = []ManifestTable{{ID: 1, Rows: -1}} },
		"old format":   func(m *Manifest) { m.Format = 0 },
	} {
		m := testManifest(Codec{})
		change(m)
		data, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := DecodeManifest(bytes.NewReader(data)); !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, data := range []string{`{"format": 2, "new": true}`, `{"format": 2}`} {
		if _, err := DecodeManifest(strings.NewReader(data)); !errors.Is(err, ErrNewerManifest) {
			t.Error(err)
		}
	}
	// The checksum of nothing is not that of a manifest which does not end as they do.
	var corrupt *CorruptError
	if _, err := DecodeManifest(strings.NewReader(`{"format": 1, "checksum": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`)); !errors.As(err, &corrupt) {
		t.Error(err)
	}
}

// Whatever is done to an archive of ours, Verify finds it.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	const seed = 20261122
	rounds := 50
	if pgtest.Soak() {
		rounds = 1000
	}
	random := rand.New(rand.NewPCG(seed, 1))
	for _, codec := range []Codec{{}, {Compression: CompressionGzip}, {Compression: CompressionZstd}} {
		whole := filepath.Join(t.TempDir(), "whole")
		rewriteDirectory(t, open(t, filepath.Join(golden, "17-directory")), whole, codec)
		if err := verifyPath(whole); err != nil {
			t.Fatal(err)
		}
		names, err := os.ReadDir(whole)
		if err != nil {
			t.Fatal(err)
		}
		for range rounds {
			name := names[random.IntN(len(names))].Name()
			file := filepath.Join(whole, name)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			what, after := damage(random, before)
			if after == nil {
				err = os.Remove(file)
			} else {
				err = os.WriteFile(file, after, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			var corrupt *CorruptError
			if err := verifyPath(whole); !errors.As(err, &corrupt) && !errors.Is(err, ErrNotArchive) || corrupt != nil && corrupt.File != name {
				t.Fatalf("%s of %s: %v", what, name, err)
			}
			if err := os.WriteFile(file, before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(whole, "extra.dat"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := verifyPath(whole); err == nil {
			t.Error("an additional file was not found")
		}
	}
}

// damage changes a file's content; nil means that the file is to be deleted.
func damage(random *rand.Rand, data []byte) (what string, after []byte) {
	after = bytes.Clone(data)
	at := 0
	if len(data) > 0 {
		at = random.IntN(len(data))
	}
	switch kind := random.IntN(5); {
	case kind == 0:
		return "deletion", nil
	case kind == 1:
		return "extension", append(after, byte(random.IntN(256)))
	case len(data) == 0:
		return "extension", []byte{0}
	case kind == 2:
		return "cut", after[:at]
	case kind == 3 && data[at] != data[0]:
		after[0], after[at] = after[at], after[0]
		return "swap", after
	}
	after[at] ^= 1 << random.IntN(8)
	return "flip", after
}
