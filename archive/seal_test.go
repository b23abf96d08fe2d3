package archive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// newKey makes a pair of keys, and gives them as files have them.
func newKey(t testing.TB) (recipient, identity string) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key.Recipient().String(), key.String()
}

func parseKeys(t testing.TB, recipient, identity string) (Recipient, []Identity) {
	t.Helper()
	r, err := ParseRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(identity, "-----") {
		identity = "# a comment\n\n" + identity + "\n"
	}
	ids, err := ReadIdentities(strings.NewReader(identity))
	if err != nil {
		t.Fatal(err)
	}
	return r, ids
}

// sealDirectory writes what a golden archive holds, encrypted, and the same without encryption.
func sealDirectory(t testing.TB, name string, recipients ...Recipient) (sealed, plain string) {
	t.Helper()
	a, err := Open(filepath.Join(golden, name))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	codec := Codec{Compression: CompressionZstd}
	plain = filepath.Join(t.TempDir(), "plain")
	rewriteDirectory(t, a, plain, codec)
	sealed = filepath.Join(t.TempDir(), "sealed")
	folder, err := newDirectoryFolder(sealed)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := Seal(folder, recipients)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, a, NewDirectoryWriter(sealer, newCompressor(t, codec)), codec)
	return sealed, plain
}

// An encrypted archive is the same archive to those who have the key, and to age.
func TestSeal(t *testing.T) {
	for _, kind := range []string{"age", "quantum", "ssh"} {
		t.Run(kind, func(t *testing.T) {
			recipient, identity := keysOf(t, kind)
			key, ids := parseKeys(t, recipient, identity)
			sealed, plain := sealDirectory(t, "17-directory", key)
			p, err := Open(plain)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			s, err := Open(sealed, ids...)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if diff := cmp.Diff(p.Manifest(), s.Manifest()); diff != "" {
				t.Error(diff)
			}
			want, err := Verify(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Verify(t.Context(), s)
			if err != nil || got != want {
				t.Errorf("%+v, %v, not %+v", got, err, want)
			}
			for _, e := range p.TOC().Find(DescTableData) {
				if readTable(t, p, e) != readTable(t, s, s.TOC().ByID(e.ID)) || readSplit(t, p, e) != readSplit(t, s, s.TOC().ByID(e.ID)) {
					t.Errorf("%s differs", e.Name())
				}
				if p.DataSize(e) != s.DataSize(e) {
					t.Errorf("%s: sizes %d and %d", e.Name(), p.DataSize(e), s.DataSize(e))
				}
			}
			openedByAge(t, sealed, plain, ids)
			decrypted(t, sealed, plain, ids)
		})
	}
}

func keysOf(t *testing.T, kind string) (recipient, identity string) {
	t.Helper()
	switch kind {
	case "quantum":
		key, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		return key.Recipient().String(), key.String()
	case "ssh":
		public, secret, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKey(secret, "")
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return string(ssh.MarshalAuthorizedKey(key)), string(pem.EncodeToMemory(block))
	}
	return newKey(t)
}

// readSplit reads the rows of a table by several readers, and sorts them.
func readSplit(t testing.TB, a Archive, e *Entry) string {
	t.Helper()
	readers, err := a.(Splitter).SplitTable(t.Context(), e, 3)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, r := range readers {
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, strings.SplitAfter(string(data), "\n")...)
	}
	slices.Sort(rows)
	return strings.Join(rows, "")
}

// openedByAge decrypts every file with age alone: they are those of the archive that is not encrypted.
func openedByAge(t *testing.T, sealed, plain string, ids []Identity) {
	t.Helper()
	files, err := os.ReadDir(sealed)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".age")
		if !ok {
			if file.Name() != ManifestName {
				t.Errorf("%s is not encrypted", file.Name())
			}
			continue
		}
		f, err := os.Open(filepath.Join(sealed, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := age.Decrypt(f, ids...)
		if err != nil {
			t.Fatalf("%s: %v", file.Name(), err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", file.Name(), err)
		}
		want, err := os.ReadFile(filepath.Join(plain, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s holds something else than %s", file.Name(), name)
		}
		n++
	}
	if list, err := os.ReadDir(plain); err != nil || len(list) != n {
		t.Errorf("%d files are encrypted, of %d: %v", n, len(list), err)
	}
}

// decrypted brings back the archive that is not encrypted, to the byte.
func decrypted(t *testing.T, sealed, plain string, ids []Identity) {
	t.Helper()
	folder, err := OpenDirectory(sealed)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	contents, err := OpenContents(t.Context(), folder, ids...)
	if err != nil {
		t.Fatal(err)
	}
	if err := contents.Check(t.Context()); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "decrypted")
	out, err := newDirectoryFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := contents.CopyTo(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(allFiles(t, plain), allFiles(t, path)); diff != "" {
		t.Error(diff)
	}
}

func allFiles(t testing.TB, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	list, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		data, err := os.ReadFile(filepath.Join(path, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name()] = string(data)
	}
	return files
}

// What everybody may read of an encrypted archive names nothing in it.
func TestSealedTellsNothing(t *testing.T) {
	recipient, identity := newKey(t)
	key, _ := parseKeys(t, recipient, identity)
	sealed, plain := sealDirectory(t, "17-directory", key)
	a, err := Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	words := []string{"dealer", "work_mem", "CREATE", "COPY", "public"}
	for _, e := range a.TOC().Find(DescTableData) {
		words = append(words, e.Tag)
	}
	for name, data := range allFiles(t, sealed) {
		for _, word := range words {
			if strings.Contains(data, word) {
				t.Errorf("%s says %q", name, word)
			}
		}
	}
	folder, err := OpenDirectory(sealed)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	m, err := ReadManifest(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	if m.Total() != a.Manifest().Total() || m.Encryption.Recipients[0] != recipient {
		t.Errorf("%+v", m)
	}
	if err := CheckFiles(t.Context(), folder, m); err != nil { // which takes no key
		t.Error(err)
	}
}

func TestWrongKey(t *testing.T) {
	recipient, identity := newKey(t)
	key, _ := parseKeys(t, recipient, identity)
	sealed, _ := sealDirectory(t, "17-directory", key)
	_, other := newKey(t)
	_, wrong := parseKeys(t, recipient, other)
	for n, ids := range [][]Identity{nil, wrong} {
		_, err := Open(sealed, ids...)
		var noKey *KeyError
		if !errors.As(err, &noKey) || noKey.Given != n || !slices.Equal(noKey.Recipients, []string{recipient}) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("with %d keys: %v", n, err)
		}
	}
}

// Every byte of an encrypted archive matters, and damage is found both with the key and without it.
func TestSealedDamage(t *testing.T) {
	t.Parallel()
	places := 3
	if pgtest.Soak() {
		places = 7
	}
	recipient, identity := newKey(t)
	key, ids := parseKeys(t, recipient, identity)
	path, _ := sealDirectory(t, "17-directory", key)
	check := func(what, name string) {
		t.Helper()
		withKey := func() error {
			a, err := Open(path, ids...)
			if err != nil {
				return err
			}
			_, err = Verify(context.Background(), a)
			return errors.Join(err, a.Close())
		}
		withoutKey := func() error {
			folder, err := OpenDirectory(path)
			if err != nil {
				return err
			}
			defer folder.Close()
			m, err := ReadManifest(context.Background(), folder)
			if err != nil {
				return err
			}
			return CheckFiles(context.Background(), folder, m)
		}
		for way, do := range map[string]func() error{"with": withKey, "without": withoutKey} {
			var corrupt *CorruptError
			if err := do(); !errors.As(err, &corrupt) || corrupt.File != name {
				t.Errorf("%s of %s, %s the key: %v", what, name, way, err)
			}
		}
	}
	for name, data := range allFiles(t, path) {
		file := filepath.Join(path, name)
		write := func(data string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for at := 0; at < len(data); at += max(len(data)/places, 1) {
			changed := []byte(data)
			changed[at] ^= 1
			write(string(changed))
			check("a flipped bit", name)
			write(data[:at])
			check("a cut", name)
		}
		write(data + "x")
		check("a byte more", name)
		write(data)
	}
	if err := os.WriteFile(filepath.Join(path, "stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("a file more", "stray")
}

// Files that were put in each other's places, with the public manifest to match, are found out by who has the key.
func TestSealedSwap(t *testing.T) {
	recipient, identity := newKey(t)
	key, ids := parseKeys(t, recipient, identity)
	path, _ := sealDirectory(t, "17-directory", key)
	folder, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	m, err := ReadManifest(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var blobs []int
	for i, f := range m.Files {
		if strings.HasPrefix(f.Name, "blob_") {
			blobs = append(blobs, i)
		}
	}
	x, y := &m.Files[blobs[0]], &m.Files[blobs[1]]
	files := allFiles(t, path)
	for name, data := range map[string]string{x.Name: files[y.Name], y.Name: files[x.Name]} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x.Size, y.Size, x.SHA256, y.SHA256 = y.Size, x.Size, y.SHA256, x.SHA256
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, ManifestName), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckFiles(t.Context(), folder, m); err != nil {
		t.Fatalf("the forgery shows without the key: %v", err)
	}
	a, err := Open(path, ids...)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var corrupt *CorruptError
	if _, err := Verify(t.Context(), a); !errors.As(err, &corrupt) || !strings.HasPrefix(corrupt.File, "blob_") {
		t.Errorf("files in each other's places: %v", err)
	}
}

// What is read back before it is published needs no key.
func TestReadBack(t *testing.T) {
	recipient, identity := newKey(t)
	key, _ := parseKeys(t, recipient, identity)
	to, err := newDirectoryFolder(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Seal(to, []Recipient{key})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("river card\n", 30_000)
	w, err := s.Create(t.Context(), "rows", -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, want); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	stored, err := OpenDirectory(to.tmp)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	f, err := s.unseal(stored).Open(t.Context(), "rows")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || string(got) != want {
		t.Errorf("%d bytes of %d: %v", len(got), len(want), err)
	}
	part := make([]byte, 100_000)
	if n, err := f.ReadAt(part, 65_000); err != nil || string(part[:n]) != want[65_000:165_000] {
		t.Errorf("%d bytes from the middle: %v", n, err)
	}
	if n, err := f.ReadAt(part, int64(len(want))-10); err != io.EOF || string(part[:n]) != want[len(want)-10:] {
		t.Errorf("%q at the end: %v", part[:n], err)
	}
}

func TestKeys(t *testing.T) {
	recipient, identity := newKey(t)
	quantum, _ := keysOf(t, "quantum")
	for text, want := range map[string]string{
		recipient:              "",
		identity:               "age-keygen -y",
		"age1xyz":              "not whole",
		recipient[:40]:         "not whole",
		"ssh-ed25519 AAAA":     "not whole",
		"hunter2":              "begins with",
		recipient + "\n" + "x": "not whole",
	} {
		r, err := ParseRecipient(text)
		switch {
		case want == "" && (err != nil || r.String() != text):
			t.Errorf("%v, %v", r, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), text)):
			t.Errorf("%q: %v", text, err)
		}
	}
	list, err := ReadRecipients(strings.NewReader("# us\n" + recipient + "\n\n " + quantum + "\n"))
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := CheckRecipients(list); err == nil {
		t.Error("keys that do not go together pass")
	}
	for _, text := range []string{"", "# nothing", recipient, "AGE-SECRET-KEY-1QQQ", "-----BEGIN AGE ENCRYPTED FILE-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"} {
		if _, err := ReadIdentities(strings.NewReader(text)); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("identities %.20q: %v", text, err)
		}
	}
}
