package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
)

// recipientFlags name the public keys to encrypt to.
type recipientFlags struct{ keys, files []string }

func (f *recipientFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.keys, "encrypt-to", nil, "encrypt the backup to a public `KEY` of age (age1...) or of SSH;\nmay be repeated: each secret key opens it")
	flags.StringArrayVar(&f.files, "encrypt-to-file", nil, "encrypt to the public keys in `FILE`, one a line")
}

// encrypts reports whether a flag names whom to encrypt to.
func encrypts(flag *pflag.Flag) bool {
	return flag.Name == "encrypt-to" || flag.Name == "encrypt-to-file"
}

// recipients reads the keys. Errors do not repeat them.
func (f *recipientFlags) recipients() ([]archive.Recipient, error) {
	var all []archive.Recipient
	for _, key := range f.keys {
		r, err := archive.ParseRecipient(key)
		if err != nil {
			return nil, fmt.Errorf("--encrypt-to: %w", err)
		}
		all = append(all, r)
	}
	for _, name := range f.files {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--encrypt-to-file: %w", err)
		}
		some, err := archive.ReadRecipients(file)
		file.Close() // only read from
		if err != nil {
			return nil, fmt.Errorf("--encrypt-to-file: %s: %w", name, err)
		}
		all = append(all, some...)
	}
	if err := archive.CheckRecipients(all); err != nil {
		return nil, fmt.Errorf("--encrypt-to: %w", err)
	}
	return all, nil
}

// identityFlags name the files of the secret keys to decrypt with.
type identityFlags []string

func (f *identityFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVarP((*[]string)(f), "identity", "i", nil, "decrypt with the secret key in `FILE`, as age-keygen writes it, or of an\nSSH key without a passphrase; may be repeated")
}

// identities reads the files. An error is about what was named.
func (f identityFlags) identities(reporter progress.Reporter) ([]archive.Identity, error) {
	var all []archive.Identity
	for _, name := range f {
		ids, err := readIdentities(name, reporter)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--identity: %w", err)}
		}
		all = append(all, ids...)
	}
	return all, nil
}

func readIdentities(name string, reporter progress.Reporter) ([]archive.Identity, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read from
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		reporter.Report(progress.Warning{Object: name, Text: "others may read this secret key", Remedy: "chmod 600 " + name})
	}
	ids, err := archive.ReadIdentities(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ids, nil
}
