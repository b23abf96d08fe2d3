package pgtools_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtools"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]int{
		"pg_dump (PostgreSQL) 17.6 (Debian 17.6-1.pgdg13+1)\n": 170006,
		"pg_dump (PostgreSQL) 15.18":                           150018,
		"pg_dump (PostgreSQL) 18beta1":                         180000,
		"pg_dump (PostgreSQL) 19devel":                         190000,
		"pg_dump (PostgreSQL) 9.6.24":                          90006,
		"pg_dump (PostgreSQL) ":                                0,
		"pg_dump (PostgreSQL) x":                               0,
		"pg_dump 17.6":                                         0,
		"":                                                     0,
	} {
		if got, err := pgtools.ParseVersion(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("ParseVersion(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

// install makes a pg_dump that runs a script.
func install(t *testing.T, dir, script string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pg_dump"), []byte("#!/bin/sh\n"+script+"\n"), mode); err != nil {
		t.Fatal(err)
	}
}

func TestFindHost(t *testing.T) {
	root := t.TempDir()
	says := func(version string) string { return "echo 'pg_dump (PostgreSQL) " + version + "'" }
	install(t, root+"/new", says("98.1"), 0o755)
	install(t, root+"/old", says("97.3"), 0o755)
	install(t, root+"/broken", "exit 127", 0o755)
	install(t, root+"/other", "echo pg_dump 1.0", 0o755)
	install(t, root+"/closed", says("96.1"), 0o644)
	install(t, root+"/wrapper", says("95.1"), 0o755)
	for _, err := range []error{
		os.Mkdir(root+"/empty", 0o755), os.MkdirAll(root+"/folder/pg_dump", 0o755),
		os.Symlink(root+"/new", root+"/link"),
		os.Mkdir(root+"/debian", 0o755), os.Rename(root+"/wrapper/pg_dump", root+"/wrapper/pg_wrapper"),
		os.Symlink(root+"/wrapper/pg_wrapper", root+"/debian/pg_dump"),
		os.Mkdir(root+"/dangling", 0o755), os.Symlink("/nowhere", root+"/dangling/pg_dump"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var path []string
	for _, dir := range []string{"empty", "folder", "broken", "old", "link", "closed", "other", "debian", "dangling", "new", "old", "missing"} {
		path = append(path, filepath.Join(root, dir))
	}
	t.Setenv("PATH", strings.Join(path, ":")+"::")
	clients, err := pgtools.FindHost(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range clients {
		if strings.HasPrefix(c.String(), root) { // this machine may have others
			names = append(names, strings.TrimPrefix(c.String(), root))
		}
	}
	if want := []string{"/old/pg_dump (97.3)", "/link/pg_dump (98.1)"}; !slices.Equal(names, want) {
		t.Errorf("found %q, want %q", names, want)
	}

	for dir, want := range map[string]string{
		"new": "", "broken": "exit status 127", "other": `no version of PostgreSQL in "pg_dump 1.0"`,
		"closed": "permission denied", "missing": "there is no pg_dump at", "folder": "permission denied",
	} {
		clients, err := pgtools.FindHost(t.Context(), filepath.Join(root, dir, "pg_dump"))
		switch {
		case want == "" && (err != nil || len(clients) != 1 || clients[0].Version() != 980001):
			t.Errorf("%s: %v: %v", dir, clients, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: the error is %v, want %q", dir, err, want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgtools.FindHost(ctx, ""); err == nil {
		t.Error("a cancelled search finds something")
	}
}

type version int

func (v version) Version() int                                { return int(v) }
func (v version) String() string                              { return pgtools.FormatVersion(int(v)) }
func (v version) Dump(context.Context, pgtools.Request) error { return nil }

func TestRank(t *testing.T) {
	for _, test := range []struct {
		clients  []version
		from, to int
		want     string
	}{
		{[]version{130010, 150018, 170006, 180001}, 15, 17, "[17.6 18.1 15.18]"},
		{[]version{180001, 150018, 170006}, 15, 15, "[15.18 17.6 18.1]"},
		{[]version{170001, 170006, 170003}, 13, 17, "[17.6 17.3 17.1]"},
		{[]version{170006, 180001}, 18, 17, "[18.1]"},
		{[]version{150018, 130001}, 17, 17, "none of version 17 or later, which the source needs; found 15.18; found 13.1"},
		{nil, 17, 17, "none of version 17 or later, which the source needs"},
	} {
		var clients []pgtools.Client
		for _, v := range test.clients {
			clients = append(clients, v)
		}
		able, problem := pgtools.Rank(clients, test.from, test.to)
		got := fmt.Sprint(able)
		if problem != nil {
			got = problem.Text
		}
		if got != test.want {
			t.Errorf("from %d to %d: %s, want %s", test.from, test.to, got, test.want)
		}
	}
}
