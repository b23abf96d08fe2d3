package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/backup"
	"github.com/pgberth/pgberth/compare"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/migrate"
)

func TestPlanText(t *testing.T) {
	plan := &migrate.Plan{
		From: "postgres://app@10.0.0.5:5432/shop", To: "docker://shop-db/shop",
		SourceVersion: "15.18", TargetVersion: "17.6",
		Client: "/usr/lib/postgresql/17/bin/pg_dump (17.6)", Jobs: 4,
		Objects: map[string]int{"TABLE": 3, "INDEX": 12, "VIEW": 3},
		Tables: []migrate.Table{
			{Name: "public.players", Bytes: 8192}, {Name: "public.games", Bytes: 1_234_567_890}, {Name: "public.\nodd", Bytes: 8192},
		},
		Bytes: 1_234_584_274, Roles: []string{"app", "reader"},
		Staging: "shop_pgberth_*", Renamed: "shop is kept as shop_before_20250102030405",
		Warnings: []migrate.Problem{{Object: "role app", Text: "its password cannot be read", Remedy: `set it with \password`}},
	}
	const want = `from     postgres://app@10.0.0.5:5432/shop (PostgreSQL 15.18)
to       docker://shop-db/shop (PostgreSQL 17.6)
client   /usr/lib/postgresql/17/bin/pg_dump (17.6)
streams  4
objects  12 INDEX, 3 TABLE, 3 VIEW
rows     3 tables, 1.2 GB at the source
roles    app, reader
staging  loaded as shop_pgberth_*
renamed  shop is kept as shop_before_20250102030405
warning  role app: its password cannot be read
         try: set it with \password

  SIZE  TABLE
1.2 GB  public.games
8.2 kB  public.?odd
8.2 kB  public.players
`
	if diff := cmp.Diff(want, planText(plan)); diff != "" {
		t.Error(diff)
	}
}

func TestResultText(t *testing.T) {
	whole := migrate.Result{
		From: "postgres://app@10.0.0.5:5432/shop", To: "docker://shop-db/shop",
		Objects: map[string]int{"TABLE": 2, "INDEX": 12},
		Tables:  []migrate.Table{{Name: "public.games"}, {Name: "public.players"}},
		Rows:    46_200, Bytes: 90e6, LargeObjects: 3, Roles: []string{"app"},
		Phases: []migrate.Phase{
			{Name: "preflight", Elapsed: 300 * time.Millisecond}, {Name: "roles", Elapsed: 4 * time.Millisecond},
			{Name: "rows", Elapsed: 8 * time.Second},
		},
		Verified: migrate.VerifyRows, OldDatabase: "shop_before_20250102030405", Elapsed: 9 * time.Second,
	}
	const want = `migrated       postgres://app@10.0.0.5:5432/shop
to             docker://shop-db/shop
objects        14: 12 INDEX, 2 TABLE
rows           46,200 rows in 2 tables, 90 MB
large objects  3
roles created  app
checked        rows stored equal rows sent in 2 tables; contents were not read again
old database   kept as shop_before_20250102030405
time           9.0s (10 MB/s): preflight 300ms, rows 8.0s
`
	if diff := cmp.Diff(want, resultText("migrated", &whole)); diff != "" {
		t.Error(diff)
	}
	bare := migrate.Result{From: "a", To: "b", Verified: migrate.VerifyNone, OldDropped: true, Elapsed: 20 * time.Millisecond}
	const wantBare = `migrated      a
to            b
objects       0: -
rows          0 rows in 0 tables, 0 bytes
checked       nothing beyond what the servers reported
old database  dropped
time          20ms
`
	if diff := cmp.Diff(wantBare, resultText("migrated", &bare)); diff != "" {
		t.Error(diff)
	}
}

// TestNamesOfDatabases: those of docker endpoints come as they are, with whatever a terminal would obey.
func TestNamesOfDatabases(t *testing.T) {
	const from, to = "docker://db/\x1b[31mred", "docker://db/two\nlines"
	for name, text := range map[string]string{
		"plan":   planText(&migrate.Plan{From: from, To: to, Staging: to, Renamed: to}),
		"result": resultText("migrated", &migrate.Result{From: from, To: to}),
		"report": reportText(&compare.Report{From: compare.Database{Name: from}, To: compare.Database{Name: to}}),
		"dump":   dumpText(&dump.Result{From: from, Path: to}),
		"backup": backupText(from, &backup.Result{Repository: to}),
	} {
		if strings.Contains(text, "\x1b") || strings.Contains(text, "two\n") || !strings.Contains(text, "docker://db/?[31mred") || !strings.Contains(text, "docker://db/two?lines") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func TestMainObjects(t *testing.T) {
	objects := map[string]int{"A": 1, "B": 2000, "C": 3, "D": 4, "E": 5, "F": 6, "G": 7, "H": 8}
	if got, want := mainObjects(objects), "2,034: 2,000 B, 8 H, 7 G, 6 F, 5 E, 4 D, 3 C, 1 A"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	objects["I"] = 1
	if got, want := mainObjects(objects), "2,035: 2,000 B, 8 H, 7 G, 6 F, 5 E, 4 D, 3 C, 1 A, ..."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestServerTable(t *testing.T) {
	servers := []*containerpg.Server{
		{
			Name: "bullion-db", Image: "postgres:17", Project: "bullion", Service: "db", Version: "17.6",
			Published: []containerpg.Published{{HostIP: "0.0.0.0", HostPort: 54320}, {HostIP: "::", HostPort: 54320}},
			Address:   "172.18.0.2:5432", Via: "its own address", User: "bullion",
			Databases: []containerpg.Database{{Name: "bullion", Bytes: 7_654_321}, {Name: "secret", Bytes: -1}},
		},
		{Name: "odd", Image: "busybox", Problem: "it runs sleep"},
	}
	const want = `NAME        IMAGE        VERSION  PROJECT/SERVICE  PORT   ADDRESS          VIA              USER     DATABASES
bullion-db  postgres:17  17.6     bullion/db       54320  172.18.0.2:5432  its own address  bullion  bullion (7.7 MB)
                                                                                                     secret
odd         busybox      -        -                -      -                -                -        -
`
	if diff := cmp.Diff(want, serverTable(servers)); diff != "" {
		t.Error(diff)
	}
}
