package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// A Recipient is a public key that archives are encrypted to.
type Recipient struct {
	text string
	key  age.Recipient
}

// String is the public key as it was given, without a comment behind it.
func (r Recipient) String() string { return r.text }

// An Identity is a secret key that opens what was encrypted to its recipient.
type Identity = age.Identity

// ParseRecipient reads a public key: age1..., age1pq1..., or that of an SSH key, ssh-ed25519 or ssh-rsa. Its errors do not
// repeat what was given.
func ParseRecipient(s string) (Recipient, error) {
	s = strings.TrimSpace(s)
	var key age.Recipient
	var err error
	switch {
	case strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-"):
		return Recipient{}, errors.New("that is the secret key; backups are encrypted to the public one, which age-keygen -y prints of the secret key's file")
	case strings.HasPrefix(s, "age1pq1"):
		key, err = age.ParseHybridRecipient(s)
	case strings.HasPrefix(s, "age1"):
		key, err = age.ParseX25519Recipient(s)
	case strings.HasPrefix(s, "ssh-"):
		if fields := strings.Fields(s); len(fields) > 2 {
			s = strings.Join(fields[:2], " ") // the comment says who somebody is
		}
		key, err = agessh.ParseRecipient(s)
	default:
		return Recipient{}, errors.New("a public key begins with age1, ssh-ed25519 or ssh-rsa")
	}
	if err != nil {
		return Recipient{}, errors.New("the public key is not whole or not well-formed")
	}
	return Recipient{text: s, key: key}, nil
}

// maxKeys bounds a file of keys.
const maxKeys = 1 << 20

// ReadRecipients reads public keys, one a line. Lines that are empty or begin with # are passed over.
func ReadRecipients(r io.Reader) ([]Recipient, error) {
	var recipients []Recipient
	lines := bufio.NewScanner(io.LimitReader(r, maxKeys))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		recipient, err := ParseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		recipients = append(recipients, recipient)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(recipients) == 0 {
		return nil, errors.New("there is no public key in it")
	}
	return recipients, nil
}

// CheckRecipients finds out whether files can be encrypted to all of the recipients at once.
func CheckRecipients(recipients []Recipient) error {
	quantum := 0
	for _, r := range recipients {
		if _, is := r.key.(*age.HybridRecipient); is {
			quantum++
		}
	}
	if quantum > 0 && quantum < len(recipients) {
		return errors.New("keys that are safe from quantum computers (age1pq1...) and others cannot be mixed: the others would undo the safety")
	}
	return nil
}

// ReadIdentities reads a file of secret keys as age has them, one a line, or the secret key of an SSH key pair that no
// passphrase protects. Its errors repeat nothing of the file.
func ReadIdentities(r io.Reader) ([]Identity, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeys))
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(data, []byte("-----BEGIN AGE")), bytes.HasPrefix(data, []byte("age-encryption.org/")):
		return nil, errors.New("the identity is itself encrypted, which pgberth does not read; decrypt it with age -d first")
	case bytes.HasPrefix(data, []byte("-----BEGIN")):
		id, err := agessh.ParseIdentity(data)
		if err != nil {
			return nil, errors.New("not an SSH secret key that can be used: it must be ed25519 or rsa, without a passphrase (ssh-keygen -p removes one)")
		}
		return []Identity{id}, nil
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("there is no well-formed secret key in it: each line is to be AGE-SECRET-KEY-..., empty, or a comment that begins with #")
	}
	return ids, nil
}

// A KeyError reports that an archive is encrypted, and that none of the secret keys that were given opens it.
type KeyError struct {
	Recipients []string // that the archive is encrypted to, as its manifest has them
	Given      int      // secret keys
}

func (e *KeyError) Error() string {
	keys := make([]string, len(e.Recipients))
	for i, r := range e.Recipients {
		keys[i] = ShortKey(r)
	}
	text := "the archive is encrypted to " + strings.Join(keys, ", ")
	switch e.Given {
	case 0:
		return text + ", and no secret key was given"
	case 1:
		return text + ", which the secret key that was given does not belong to"
	}
	return fmt.Sprintf("%s, which none of the %d secret keys that were given belongs to", text, e.Given)
}

// Remedy says how to give the key.
func (e *KeyError) Remedy() string {
	return "--identity FILE, with the secret key that belongs to it"
}

// ShortKey is enough of a public key to tell it from others: those safe from quantum computers are of 2,000 characters.
func ShortKey(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:24] + "..." + s[len(s)-12:]
}
