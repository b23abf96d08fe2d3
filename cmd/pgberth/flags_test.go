package main

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestFlagsFromEnv(t *testing.T) {
	type values struct {
		NoOwner bool
		Jobs    streams
		Verify  string
		Tables  []string
	}
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		want values
	}{
		"neither": {nil, nil, values{Verify: "rows"}},
		"environment": {
			nil,
			map[string]string{"PGBERTH_NO_OWNER": "1", "PGBERTH_JOBS": "3", "PGBERTH_VERIFY": "data", "PGBERTH_TABLE": `a,"b,c".d,`},
			values{true, 3, "data", []string{"a", `"b,c".d`}},
		},
		"flags win": {
			[]string{"--no-owner=false", "--jobs=2", "--verify=none", "--table=x", "--table=y,z"},
			map[string]string{"PGBERTH_NO_OWNER": "1", "PGBERTH_JOBS": "3", "PGBERTH_VERIFY": "data", "PGBERTH_TABLE": "a"},
			values{false, 2, "none", []string{"x", "y,z"}},
		},
		"empty is not set":              {nil, map[string]string{"PGBERTH_JOBS": "", "PGBERTH_NO_OWNER": ""}, values{Verify: "rows"}},
		"help and version are commands": {nil, map[string]string{"PGBERTH_HELP": "true", "PGBERTH_VERSION": "1.0"}, values{Verify: "rows"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got values
			cmd := testCommand(test.env)
			verify := newChoice("rows", "rows", "data", "none")
			cmd.Flags().BoolVar(&got.NoOwner, "no-owner", false, "")
			cmd.Flags().Var(&got.Jobs, "jobs", "")
			cmd.Flags().Var(verify, "verify", "")
			cmd.Flags().StringArrayVar(&got.Tables, "table", nil, "")
			cmd.SetArgs(test.args)
			if err := cmd.ExecuteContext(context.Background()); err != nil {
				t.Fatal(err)
			}
			got.Verify = verify.value
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBadFlagValues sees that what is wrong is named and what was given is not
// repeated.
func TestBadFlagValues(t *testing.T) {
	const secret = "postgres://u:hunter2@h/db"
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"number":         {[]string{"--jobs", secret}, nil, "--jobs: invalid value; want a number of streams, 1 to 512"},
		"too many":       {[]string{"--jobs=513"}, nil, "--jobs: invalid value; want a number of streams, 1 to 512"},
		"choice":         {[]string{"--verify", secret}, nil, "--verify: invalid value; want rows, data"},
		"bool":           {[]string{"--no-owner=" + secret}, nil, "--no-owner: invalid value; want true or false"},
		"unknown":        {[]string{"--form=" + secret}, nil, "unknown flag --form"},
		"unknown letter": {[]string{"-" + secret}, nil, "unknown flag -p"},
		"no value":       {[]string{"--jobs"}, nil, "--jobs needs a value"},
		"syntax":         {[]string{"--=" + secret}, nil, "malformed flag; write --NAME or --NAME=VALUE"},
		"argument":       {[]string{secret}, nil, "test takes no arguments, only flags"},
		"environment":    {nil, map[string]string{"PGBERTH_JOBS": secret}, "PGBERTH_JOBS: invalid value; want a number of streams, 1 to 512"},
		"no recipient":   {nil, map[string]string{"PGBERTH_ENCRYPT_TO": ""}, "PGBERTH_ENCRYPT_TO is set, but empty: unset it if the backup is not to be encrypted"},
		"empty list":     {nil, map[string]string{"PGBERTH_ENCRYPT_TO": ","}, "PGBERTH_ENCRYPT_TO: invalid value; want another value"},
		"environments": {
			nil, map[string]string{"PGBERTH_JOBS": secret, "PGBERTH_NO_OWNER": "maybe"},
			"PGBERTH_JOBS: invalid value; want a number of streams, 1 to 512\nPGBERTH_NO_OWNER: invalid value; want true or false",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := testCommand(test.env)
			cmd.Flags().Bool("no-owner", false, "")
			cmd.Flags().Var(new(streams), "jobs", "")
			cmd.Flags().Var(newChoice("rows", "rows", "data"), "verify", "")
			cmd.Flags().StringArray("encrypt-to", nil, "")
			cmd.SetArgs(test.args)
			err := cmd.ExecuteContext(context.Background())
			var misuse *usageError
			if !errors.As(err, &misuse) {
				t.Fatalf("got %v, want a usage error", err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
			if code := exitCode(context.Background(), err); code != exitUsage {
				t.Errorf("exit status %d, want %d", code, exitUsage)
			}
		})
	}
}

// testCommand is a command that treats flags as those of the program do.
func testCommand(env map[string]string) *cobra.Command {
	lookup := func(name string) (string, bool) { value, found := env[name]; return value, found }
	cmd := &cobra.Command{
		Use: "test", Args: noArguments, SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return flagsFromEnv(cmd, lookup) },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, flagError(err)) })
	return cmd
}

func TestAsksForJSON(t *testing.T) {
	for _, test := range []struct {
		args []string
		env  string
		want bool
	}{
		{nil, "", false},
		{[]string{"migrate", "--json", "--nonsense"}, "", true},
		{[]string{"--json=true"}, "", true},
		{[]string{"--json=false"}, "true", false},
		{[]string{"--json=nonsense"}, "true", false},
		{[]string{"--", "--json"}, "", false},
		{nil, "1", true},
		{nil, "nonsense", false},
	} {
		env := func(string) (string, bool) { return test.env, test.env != "" }
		if got := asksForJSON(test.args, env); got != test.want {
			t.Errorf("asksForJSON(%q, %q) = %v, want %v", test.args, test.env, got, test.want)
		}
	}
}
