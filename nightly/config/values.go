package config

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/backup"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// errWanted stands for "want what want() says".
var errWanted = errors.New("another value")

// A Secret is never printed. Reveal is for the one place that needs it.
type Secret string

func (s *Secret) parse(text string) error { *s = Secret(text); return nil }
func (*Secret) want() string              { return "text" }

func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

func (s Secret) GoString() string             { return s.String() }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Duration is 90s, 30m, 26h, 30d or 2w, or several of them in a row.
type Duration time.Duration

func (*Duration) want() string { return "a duration, such as 90s, 30m, 26h or 30d" }

func (d *Duration) parse(text string) error {
	v, err := human.ParseDuration(text)
	if err != nil {
		return errWanted
	}
	*d = Duration(v)
	return nil
}

// A Size is a number of bytes: 500 kB, 10 MB, 2 GB, in powers of 1000, or KiB, MiB and GiB.
type Size int64

func (*Size) want() string { return "a size, such as 500 kB, 10 MB or 2 GB" }

func (s *Size) parse(text string) error {
	n, err := human.ParseSize(text)
	if err != nil {
		return errWanted
	}
	*s = Size(n)
	return nil
}

// A Share is a part of a whole: 50%.
type Share float64

func (*Share) want() string { return "a share from 0% to 100%, such as 50%" }

func (s *Share) parse(text string) error {
	n, err := human.ParsePercent(text)
	if err != nil || !strings.HasSuffix(text, "%") { // 0.5 could be a share of one
		return errWanted
	}
	*s = Share(n / 100)
	return nil
}

// A Commands value is one command, [program, argument...], or a list of them.
type Commands [][]string

func (c *Commands) decode(d *decoder, node *yaml.Node, key string) {
	const want = "want a command as a list, [/path/to/program, argument], or a list of those; there is no shell"
	if node.Kind != yaml.SequenceNode {
		d.problem(node, key, "%s", want)
		return
	}
	var commands Commands
	lists := []*yaml.Node{node}
	if len(node.Content) > 0 && node.Content[0].Kind == yaml.SequenceNode {
		lists = node.Content
	}
	for _, list := range lists {
		if list.Kind != yaml.SequenceNode {
			d.problem(list, key, "%s", want)
			continue
		}
		argv := make([]string, len(list.Content))
		for i, word := range list.Content {
			d.text(word, key, "text", func(s string) error { argv[i] = s; return nil })
		}
		if len(argv) == 0 || argv[0] == "" {
			d.problem(list, key, "a command without a program")
			continue
		}
		commands = append(commands, argv)
	}
	*c = commands
}

// A Count is how many backups to keep, or all of a kind.
type Count int

// Unlimited is the count of all.
const Unlimited Count = repository.Unlimited

func (*Count) want() string { return "a number, or unlimited" }

func (c *Count) parse(text string) error {
	n, err := strconv.Atoi(text)
	switch {
	case text == "unlimited":
		*c = Unlimited
	case err != nil || n < 0:
		return errWanted
	default:
		*c = Count(n)
	}
	return nil
}

// A Recipient is whom backups are encrypted to.
type Recipient struct{ archive.Recipient }

func (*Recipient) want() string { return "an age recipient, such as age1..., or an SSH public key" }

func (r *Recipient) parse(text string) (err error) {
	r.Recipient, err = archive.ParseRecipient(text)
	return err
}

// A Codec is how rows are compressed; nil leaves it to the program.
type Codec struct{ *archive.Codec }

func (*Codec) want() string { return "none, gzip, gzip:1 to gzip:9, zstd, or zstd:1 to zstd:22" }

func (c *Codec) parse(text string) error {
	codec, err := archive.ParseCodec(text)
	if err != nil {
		return errWanted
	}
	c.Codec = &codec
	return nil
}

// A Wire is whether rows travel compressed from a container to this program.
type Wire struct{ containerpg.Compression }

func (*Wire) want() string { return "auto, off, zstd, or zstd:1 to zstd:22" }

func (w *Wire) parse(text string) (err error) {
	if w.Compression, err = containerpg.ParseCompression(text); err != nil {
		return errWanted
	}
	return nil
}

// A PathStyle is whether a bucket's name is in the path of URLs; the zero value leaves it to the program.
type PathStyle repository.PathStyle

func (*PathStyle) want() string { return "always, never or auto" }

func (p *PathStyle) parse(text string) error {
	switch style := repository.PathStyle(text); style {
	case repository.PathStyleAlways, repository.PathStyleNever:
		*p = PathStyle(style)
	case "auto":
		*p = PathStyle(repository.PathStyleAuto)
	default:
		return errWanted
	}
	return nil
}

// A ReadBack is how far what was written is read before it is published.
type ReadBack string

func (*ReadBack) want() string { return "sizes, files or data" }

func (r *ReadBack) parse(text string) error {
	if text != "sizes" && text != "files" && text != "data" {
		return errWanted
	}
	*r = ReadBack(text)
	return nil
}

// An Age is a span of the calendar.
type Age struct{ repository.Age }

func (*Age) want() string { return "an age, such as 30d or 2y5m7d3h" }

func (a *Age) parse(text string) error {
	age, err := repository.ParseAge(text)
	if err != nil {
		return errWanted
	}
	a.Age = age
	return nil
}

// A TimeZone is where days and weeks begin; the zero value is UTC.
type TimeZone struct{ *time.Location }

func (*TimeZone) want() string { return "a time zone, such as Europe/Berlin or UTC" }

func (z *TimeZone) parse(text string) error {
	// Local would mean another thing on another machine.
	location, err := time.LoadLocation(text)
	if err != nil || text == "" || text == "Local" {
		return errWanted
	}
	z.Location = location
	return nil
}

// Get returns the location.
func (z TimeZone) Get() *time.Location {
	if z.Location == nil {
		return time.UTC
	}
	return z.Location
}

// Globals says whether roles, memberships, settings and tablespaces are backed up.
type Globals string

const (
	GlobalsAll              Globals = "true"
	GlobalsNone             Globals = "false"
	GlobalsWithoutPasswords Globals = "without-passwords" // that they may not be read is known
)

func (*Globals) want() string { return "true, false or without-passwords" }

func (g *Globals) parse(text string) error {
	switch Globals(text) {
	case GlobalsAll, GlobalsNone, GlobalsWithoutPasswords:
		*g = Globals(text)
		return nil
	}
	return errWanted
}

// Wanted reports whether globals are backed up.
func (g Globals) Wanted() bool { return g != GlobalsNone }

// Knows reports whether a warning is about passwords that are known to be out of reach.
func (g Globals) Knows(w progress.Warning) bool {
	return g == GlobalsWithoutPasswords && w.Object == backup.ObjectPasswords
}

// A DrillTime is when backups are drilled; the zero value is never.
type DrillTime string

const (
	DrillNever       DrillTime = ""
	DrillAfterBackup DrillTime = "after-backup"
	DrillWeekly      DrillTime = "weekly"
)

func (*DrillTime) want() string { return "never, after-backup or weekly" }

func (d *DrillTime) parse(text string) error {
	switch DrillTime(text) {
	case DrillAfterBackup, DrillWeekly:
		*d = DrillTime(text)
	case "never":
		*d = DrillNever
	default:
		return errWanted
	}
	return nil
}
