package main

import (
	"errors"

	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/migrate"
)

// Groups of flags that several commands share.

// dockerFlags say which docker engine has the containers, and how their servers
// are reached.
type dockerFlags struct {
	host, context string
	via           *choice
}

// wireFlag is the value of --wire-compress.
type wireFlag struct{ containerpg.Compression }

func newWireFlag() wireFlag { return wireFlag{containerpg.Compression{Mode: "auto"}} }

func (f *wireFlag) Type() string   { return "auto|zstd[:LEVEL]|off" }
func (f *wireFlag) want() string   { return "auto, off, zstd, or zstd:1 to zstd:22" }
func (f *wireFlag) String() string { return f.Compression.String() }

func (f *wireFlag) Set(s string) error {
	c, err := containerpg.ParseCompression(s)
	if err == nil {
		f.Compression = c
	}
	return err
}

const wireUsage = "compress rows on their way to or from a container: auto measures the wire\nto an engine on another machine"

func (f *dockerFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.host, "docker-host", "", "docker `ENGINE` of the containers, such as ssh://USER@HOST (default\n$DOCKER_HOST, then the docker context in use, then the sockets that are known)")
	flags.StringVar(&f.context, "docker-context", "", "docker context of the containers, by its `NAME`")
	if f.via == nil { // the commands share it
		f.via = newChoice("", "socket", "bridge", "port", "exec")
	}
	flags.Var(f.via, "via", "the only way to take to a container's server: its socket, its address,\nits published port, or docker exec (default the shortest that works)")
}

// only is the way that was asked for, if one was.
func (f *dockerFlags) only() containerpg.Via {
	if f.via == nil {
		return ""
	}
	return containerpg.Via(f.via.value)
}

func (f *dockerFlags) options() containerpg.Options {
	return containerpg.Options{Host: f.host, Context: f.context}
}

// swapFlags say what becomes of a database that has the final name.
type swapFlags struct{ replace, dropOld, disconnect, inPlace bool }

func (f *swapFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.replace, "replace", false, "put the copy in the place of a database that is not empty, which is\nkept under another name")
	flags.BoolVar(&f.dropOld, "drop-old", false, "with --replace, drop the old database after the swap")
	flags.BoolVar(&f.disconnect, "disconnect", false, "end the sessions on the old database for the swap")
	flags.BoolVar(&f.inPlace, "in-place", false, "load straight into an existing, empty database, for roles that may\nnot create one; a run that fails empties it again, kill -9 leaves it half filled")
}

func (f *swapFlags) validate() error {
	switch {
	case f.dropOld && !f.replace:
		return errors.New("--drop-old drops the database that --replace replaces; give both")
	case f.inPlace && f.replace:
		return errors.New("--in-place loads into an existing database and --replace makes a new one; give one of them")
	}
	return nil
}

// omitFlags say what of every object is left out.
type omitFlags struct{ noRoles, noOwner, noPrivileges, noTablespaces bool }

func (f *omitFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.noRoles, "no-roles", false, "create no roles")
	flags.BoolVar(&f.noOwner, "no-owner", false, "leave every object to the role that loads it")
	flags.BoolVar(&f.noPrivileges, "no-privileges", false, "leave out GRANT and REVOKE")
	flags.BoolVar(&f.noTablespaces, "no-tablespaces", false, "put everything in the default tablespace")
}

func (f *omitFlags) archiveOptions() archive.RestoreOptions {
	return archive.RestoreOptions{NoOwner: f.noOwner, NoPrivileges: f.noPrivileges, NoTablespaces: f.noTablespaces}
}

// filterFlags select objects: by patterns at a server, by names in an archive.
type filterFlags struct {
	schemas, excludeSchemas, tables, excludeTables, noRows []string
}

// add takes what the flags' values are: "match `PATTERN`, as in pg_dump".
func (f *filterFlags) add(flags *pflag.FlagSet, first, further string) {
	flags.StringArrayVar(&f.schemas, "schema", nil, "only schemas that "+first+"; may be repeated")
	flags.StringArrayVar(&f.excludeSchemas, "exclude-schema", nil, "leave out schemas that "+further)
	flags.StringArrayVar(&f.tables, "table", nil, "only tables that "+further)
	flags.StringArrayVar(&f.excludeTables, "exclude-table", nil, "leave out tables that "+further)
	flags.StringArrayVar(&f.noRows, "exclude-table-data", nil, "leave out the rows of tables that "+further)
}

func (f *filterFlags) addPatterns(flags *pflag.FlagSet) {
	f.add(flags, "match `PATTERN`, as in pg_dump", "match `PATTERN`")
}

func (f *filterFlags) addNames(flags *pflag.FlagSet) {
	f.add(flags, "are called `NAME`, as in pg_restore", "are called `NAME`")
}

func (f *filterFlags) dumpFilter() dump.Filter {
	return dump.Filter{Schemas: f.schemas, ExcludeSchemas: f.excludeSchemas,
		Tables: f.tables, ExcludeTables: f.excludeTables, ExcludeTableData: f.noRows}
}

func (f *filterFlags) selection() archive.Selection {
	return archive.Selection{Schemas: f.schemas, ExcludeSchemas: f.excludeSchemas,
		Tables: f.tables, ExcludeTables: f.excludeTables, ExcludeTableData: f.noRows}
}

// newVerifyChoice is the value of --verify.
func newVerifyChoice() *choice {
	return newChoice(string(migrate.VerifyRows), string(migrate.VerifyRows), string(migrate.VerifyData), string(migrate.VerifyNone))
}

func newCopyFormatChoice() *choice {
	return newChoice(string(migrate.CopyAuto), string(migrate.CopyAuto), string(migrate.CopyText), string(migrate.CopyBinary))
}

const verifyUsage = "how far to check: rows compares row counts, data reads the target\nagain and compares hashes, none trusts the servers"

const pgDumpUsage = "the pg_dump to use, at `PATH` (default the one that fits, of the host's\nand those in the containers' images)"
