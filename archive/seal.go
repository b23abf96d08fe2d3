package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"
)

// SealedSuffix is what encryption adds to the names of files.
const SealedSuffix = ".age"

// A Sealer is a folder that encrypts each file that is written into it, before a byte of it goes any further. The files get
// another suffix. The manifest becomes two: all of it is encrypted like the other files; what is published names no
// objects and no roles, and has the sizes and checksums of the files as they are encrypted.
type Sealer struct {
	folder     FolderWriter
	recipients []Recipient

	mu    sync.Mutex
	files []ManifestFile    // as encrypted
	keys  map[string][]byte // of each file, until the process ends: what reads it back

	manifest *Manifest // of the files as they were before
}

var _ FolderWriter = (*Sealer)(nil)

// Seal encrypts what is written into a folder to one recipient or more.
func Seal(folder FolderWriter, recipients []Recipient) (*Sealer, error) {
	if len(recipients) == 0 {
		return nil, fmt.Errorf("encrypt %s: no recipients", folder)
	}
	if err := CheckRecipients(recipients); err != nil {
		return nil, err
	}
	return &Sealer{folder: folder, recipients: recipients, keys: map[string][]byte{}}, nil
}

func (s *Sealer) String() string { return s.folder.String() }
func (s *Sealer) Abort() error   { return s.folder.Abort() }

// Create implements [FolderWriter].
func (s *Sealer) Create(ctx context.Context, name string, size int64) (FileWriter, error) {
	if size >= 0 {
		size += size/4096 + 4096 // 16 bytes for each 64 kB, and a header
	}
	w, err := s.folder.Create(ctx, name+SealedSuffix, size)
	if err != nil {
		return nil, err
	}
	f := &sealedFile{sealer: s, name: name, w: w, sum: sha256.New()}
	kept := &keptKey{}
	recipients := make([]age.Recipient, len(s.recipients))
	for i, r := range s.recipients {
		recipients[i] = kept.of(r.key)
	}
	if f.plain, err = age.Encrypt(countedWriter{f}, recipients...); err != nil {
		_ = w.Abort() // nothing is in it
		return nil, fmt.Errorf("encrypt %s: %w", name, err)
	}
	s.mu.Lock()
	s.keys[name] = kept.key
	s.mu.Unlock()
	return f, nil
}

// Publish implements [FolderWriter].
func (s *Sealer) Publish(ctx context.Context, m *Manifest) error {
	if m == nil {
		return fmt.Errorf("encrypt %s: without a manifest it could not be read again", s.folder)
	}
	s.manifest = m
	data, err := m.Encode()
	if err != nil {
		return err
	}
	f, err := s.Create(ctx, ManifestName, int64(len(data)))
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
		_ = f.Abort() // the folder is given up as a whole
		return fmt.Errorf("write the encrypted manifest: %w", err)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("write the encrypted manifest: %w", err)
	}
	return s.folder.Publish(ctx, s.public(m))
}

// public is what of a manifest everybody may know. What a manifest may have besides stays secret.
func (s *Sealer) public(m *Manifest) *Manifest {
	p := &Manifest{
		Format: m.Format, Tool: m.Tool, Created: m.Created, Kind: m.Kind, Backup: m.Backup, Server: m.Server,
		Database: ManifestDatabase{Name: m.Database.Name, Encoding: m.Database.Encoding},
		Snapshot: m.Snapshot, Archive: m.Archive, Totals: m.Total(), Clients: m.Clients,
		Encryption: ManifestEncryption{Method: "age"},
	}
	for _, r := range s.recipients {
		p.Encryption.Recipients = append(p.Encryption.Recipients, r.String())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Files = slices.Clone(s.files)
	return p
}

// unseal returns the files that were written into the sealer, as they were given to it; folder holds them as they were
// encrypted. No identity is needed while the sealer lives.
func (s *Sealer) unseal(folder Folder) *unsealed {
	return &unsealed{Folder: folder, identities: func(name string) []Identity {
		s.mu.Lock()
		defer s.mu.Unlock()
		return []Identity{age.NewInjectedFileKeyIdentity(s.keys[name])}
	}}
}

// sealedFile encrypts a file.
type sealedFile struct {
	sealer *Sealer
	name   string
	plain  io.WriteCloser
	w      FileWriter
	size   int64
	sum    hash.Hash
}

func (f *sealedFile) Write(p []byte) (int, error) { return f.plain.Write(p) }

func (f *sealedFile) Commit() error {
	if err := f.plain.Close(); err != nil {
		_ = f.w.Abort() // the folder is given up as a whole
		return err
	}
	if err := f.w.Commit(); err != nil {
		return err
	}
	f.sealer.mu.Lock()
	defer f.sealer.mu.Unlock()
	f.sealer.files = append(f.sealer.files, ManifestFile{Name: f.name + SealedSuffix, Size: f.size, SHA256: hex.EncodeToString(f.sum.Sum(nil))})
	return nil
}

func (f *sealedFile) Abort() error { return f.w.Abort() }

// countedWriter takes what is encrypted.
type countedWriter struct{ *sealedFile }

func (c countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.size += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

// keptKey remembers the key of a file, which age makes up.
type keptKey struct{ key []byte }

func (k *keptKey) of(r age.Recipient) age.Recipient {
	if labelled, ok := r.(age.RecipientWithLabels); ok {
		return keepingLabelled{keeping{r, k}, labelled}
	}
	return keeping{r, k}
}

type keeping struct {
	age.Recipient
	kept *keptKey
}

func (k keeping) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	k.kept.key = bytes.Clone(fileKey)
	return k.Recipient.Wrap(fileKey)
}

type keepingLabelled struct {
	keeping
	labelled age.RecipientWithLabels
}

func (k keepingLabelled) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	k.kept.key = bytes.Clone(fileKey)
	return k.labelled.WrapWithLabels(fileKey)
}

// isSealed reports whether a name is that of an encrypted file, and gives the name without encryption.
func isSealed(name string) (plain string, ok bool) { return strings.CutSuffix(name, SealedSuffix) }
