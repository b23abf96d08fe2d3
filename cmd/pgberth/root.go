package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// A cli is what every command is given: the streams, the environment, and the
// flags that all commands share.
type cli struct {
	stdin  io.Reader
	stdout io.Writer // data
	stderr io.Writer // progress and messages
	env    lookupEnv

	json, quiet, verbose bool

	docker dockerFlags // of the commands that take endpoints
}

// A lookupEnv is os.LookupEnv, or a test's stand-in for it.
type lookupEnv func(name string) (value string, found bool)

// get returns the value of a variable; an unset one is empty.
func (env lookupEnv) get(name string) string {
	value, _ := env(name)
	return value
}

const rootLong = `pgberth moves a Postgres database from a host into a container, in one command:
it finds the container, copies the database in parallel streams of one
snapshot, checks it, and only then gives it its final name. It writes and
restores archives of PostgreSQL's own format, as fast and as checked.

An ENDPOINT is where a database is:
  postgres://USER@HOST/DBNAME    a libpq URI, or a keyword string such as
                                 "host=/run/postgresql dbname=shop"; what it
                                 leaves out comes from the environment, the
                                 service file and ~/.pgpass, as with psql
  docker://[USER@]NAME[/DBNAME]  a running container: its name, an ID prefix or
                                 a Compose service; :PORT is the container that
                                 publishes that port`

func newRootCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pgberth",
		Short:   "Move a Postgres database into a container, back it up, bring it back, checked",
		Long:    rootLong,
		Version: version(),
		Example: `  pgberth locate
  pgberth migrate --from postgres:///shop --to docker://shop-db
  pgberth compare --from postgres:///shop --to docker://shop-db
  pgberth dump --from docker://shop-db --file /var/backups/shop
  pgberth restore /var/backups/shop --to docker://shop-db --replace`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // an unknown command is reported below
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := flagsFromEnv(cmd, c.env); err != nil {
				return err
			}
			if c.quiet && c.verbose {
				return usage(cmd, errors.New("--quiet and --verbose exclude each other"))
			}
			return nil
		},
	}
	flags := cmd.PersistentFlags()
	flags.BoolVar(&c.json, "json", false, "print one JSON object per line on standard output, the failure too")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "print only warnings and errors besides the result")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "say more: addresses, clients, every table")
	flags.SortFlags = false

	cmd.SetIn(c.stdin)
	cmd.SetOut(c.stdout)
	cmd.SetErr(c.stderr)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, flagError(err)) })
	cmd.SetHelpTemplate(helpTemplate())
	cmd.SetVersionTemplate("pgberth {{.Version}}\n")
	cmd.AddCommand(newMigrateCommand(c), newCompareCommand(c), newLocateCommand(c),
		newDumpCommand(c), newRestoreCommand(c), newVerifyCommand(c), newShowCommand(c),
		newListCommand(c), newNightlyCommand(c), newForgetCommand(c), newPruneCommand(c), newUnlockCommand(c), newCheckCommand(c),
		newCopyCommand(c), newDecryptCommand(c), newDrillCommand(c), newReportCommand(c))
	return cmd
}

// unknownCommand does not repeat the word: it may be a connection string.
func unknownCommand(root *cobra.Command, word string) error {
	var names []string
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() && cmd.Name() != "completion" {
			names = append(names, cmd.Name())
		}
	}
	err := errors.New("unknown command; the commands are " + strings.Join(names, ", "))
	if near := root.SuggestionsFor(word); len(near) > 0 {
		err = fmt.Errorf("unknown command; did you mean %s?", strings.Join(near, " or "))
	}
	return usage(root, err)
}

// helpTemplate is cobra's, with what holds for every command below it.
func helpTemplate() string {
	return `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}
Every flag can be given as an environment variable: --no-owner as
PGBERTH_NO_OWNER=true. A list is separated by commas. The flag wins.

` + exitTable()
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel " + s.Value
		}
	}
	return "devel"
}
