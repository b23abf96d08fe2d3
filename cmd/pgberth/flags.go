package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A usageError says that the command line, an environment variable or an
// endpoint is wrong. Its text never holds a value that was given: a connection
// string may end up in any place, with its password.
type usageError struct {
	err  error
	help string // the command whose help says how it is meant
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(cmd *cobra.Command, err error) error {
	return &usageError{err: err, help: cmd.CommandPath() + " --help"}
}

// flagError says what pflag found without repeating the value.
func flagError(err error) error {
	var (
		missing  *pflag.ValueRequiredError
		unknown  *pflag.NotExistError
		invalid  *pflag.InvalidValueError
		mistyped *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return fmt.Errorf("unknown flag --%s", unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		return badValue("--"+invalid.GetFlag().Name, invalid.GetFlag())
	case errors.As(err, &mistyped):
		return errors.New("malformed flag; write --NAME or --NAME=VALUE")
	}
	return errors.New("malformed flags")
}

// badValue says what kind of value a flag takes.
func badValue(name string, flag *pflag.Flag) error {
	want := "another value"
	if v, ok := flag.Value.(interface{ want() string }); ok {
		want = v.want()
	} else if flag.Value.Type() == "bool" {
		want = "true or false"
	}
	return fmt.Errorf("%s: invalid value; want %s", name, want)
}

// noArguments refuses positional arguments without repeating them.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, fmt.Errorf("%s takes no arguments, only flags", cmd.Name()))
	}
	return nil
}

// flagsFromEnv sets every flag of cmd that was not given from its environment
// variable. An empty variable counts as not set, but where that would leave a
// backup without encryption.
func flagsFromEnv(cmd *cobra.Command, env lookupEnv) error {
	var errs []error
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		value, set := env(envName(flag))
		if flag.Changed || flag.Name == "help" || flag.Name == "version" {
			return
		}
		if value == "" {
			if set && encrypts(flag) {
				errs = append(errs, fmt.Errorf("%s is set, but empty: unset it if the backup is not to be encrypted", envName(flag)))
			}
			return
		}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			if values := splitList(value); len(values) == 0 || list.Replace(values) != nil {
				errs = append(errs, badValue(envName(flag), flag))
			}
			return
		}
		if err := flag.Value.Set(value); err != nil {
			errs = append(errs, badValue(envName(flag), flag))
		}
	})
	if err := errors.Join(errs...); err != nil {
		return usage(cmd, err)
	}
	return nil
}

func envName(flag *pflag.Flag) string {
	return "PGBERTH_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// splitList splits at commas outside double quotes, which quote names in the
// patterns of pg_dump and stay.
func splitList(s string) []string {
	var list []string
	quoted, start := false, 0
	for i, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			list = append(list, s[start:i])
			start = i + 1
		}
	}
	list = append(list, s[start:])
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// asksForJSON says whether a failure is to be printed as JSON although the
// flags could not be read.
func asksForJSON(args []string, env lookupEnv) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "--json":
			return true
		}
		if value, found := strings.CutPrefix(arg, "--json="); found {
			on, err := strconv.ParseBool(value)
			return err == nil && on
		}
	}
	on, err := strconv.ParseBool(env.get("PGBERTH_JSON"))
	return err == nil && on
}

// A choice is a flag's value that is one of a few words.
type choice struct {
	value   string
	allowed []string
}

func newChoice(value string, allowed ...string) *choice { return &choice{value, allowed} }

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.allowed, "|") }
func (c *choice) want() string   { return strings.Join(c.allowed, ", ") }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return errors.New("not one of " + c.Type())
	}
	c.value = s
	return nil
}

// streams is a flag's value that is a number of parallel streams; 0 leaves it
// to the program.
type streams int

func (n *streams) Type() string { return "N" }
func (n *streams) want() string { return fmt.Sprintf("a number of streams, 1 to %d", maxStreams) }

func (n *streams) String() string {
	if *n == 0 {
		return "" // so that help shows no default
	}
	return strconv.Itoa(int(*n))
}

func (n *streams) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil || v < 1 || v > maxStreams {
		return fmt.Errorf("not a number from 1 to %d", maxStreams)
	}
	*n = streams(v)
	return nil
}

// maxStreams keeps a slip of the finger from opening more sessions than any
// server takes.
const maxStreams = 512
