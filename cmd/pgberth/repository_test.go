package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/repository"
)

// scriptBackup puts a small backup into a repository: "backup DIR DATABASE ID|AGE [TAG...]". An age, such as 5h, makes an ID of that age.
func scriptBackup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: backup dir database id|age [tag...]")
	}
	ctx, id := context.Background(), args[2]
	var age duration
	if age.Set(id) == nil {
		id = time.Now().Add(-time.Duration(age)).UTC().Format("20060102T150405Z") + "-a9e0"
	}
	r, err := repository.Open(ctx, ts.MkAbs(args[0]), repository.Options{Create: true})
	ts.Check(err)
	defer r.Close()
	locked, _, err := r.Lock(ctx, lockedSeries(args[1]))
	ts.Check(err)
	defer func() { ts.Check(locked.Release()) }()
	draft, err := locked.BeginCopy(ctx, id)
	ts.Check(err)
	content := []byte(strings.Repeat("rows of "+draft.String()+"\n", 100))
	w, err := draft.Create(ctx, "12.dat", int64(len(content)))
	ts.Check(err)
	_, err = w.Write(content)
	ts.Check(err)
	ts.Check(w.Commit())
	sum := sha256.Sum256(content)
	ts.Check(draft.Publish(ctx, &archive.Manifest{
		Format: archive.ManifestFormat, Tool: "test", Created: draft.Time, Backup: archive.ManifestBackup{ID: id, Host: "here", Tags: args[3:]},
		Totals: archive.ManifestTotals{Tables: 1, Rows: 1234, Raw: 5678},
		Files:  []archive.ManifestFile{{Name: "12.dat", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}},
	}))
}

// scriptLocked runs a command while this process holds the lock of a database: "locked DIR DATABASE STATUS COMMAND...".
func scriptLocked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: locked dir database status command...")
	}
	r, err := repository.Open(context.Background(), ts.MkAbs(args[0]), repository.Options{Command: "pgberth dump"})
	ts.Check(err)
	defer r.Close()
	l, _, err := r.Lock(context.Background(), lockedSeries(args[1]))
	ts.Check(err)
	defer func() { ts.Check(l.Release()) }()
	status(ts, false, args[2:])
}

func TestNagiosText(t *testing.T) {
	newest := &repository.Backup{Size: 5000}
	status := func(s repository.Status) checked { return checked{&s, "", 26 * time.Hour, 1000} }
	good := status(repository.Status{Series: repository.Database("shop"), Newest: newest, Age: time.Hour})
	old := status(repository.Status{Series: repository.Database("it's"), Newest: newest, Age: 30 * time.Hour, Problems: []string{"too|old\n"}})
	damaged := status(repository.Status{Series: repository.Database("b"), Newest: newest, Age: time.Hour, Warnings: []string{"damaged"}})
	ofJob := good
	ofJob.job = "one"
	for _, test := range []struct {
		statuses []checked
		code     int
		want     string
	}{
		{[]checked{good}, 0, "PGBERTH OK - young and large enough: 1 newest backup | 'shop_age'=3600s;;93600;0 'shop_size'=5000B;;1000:;0"},
		{[]checked{good, damaged}, 1, "PGBERTH WARNING - damaged | 'shop_age'=3600s;;93600;0 'shop_size'=5000B;;1000:;0 'b_age'=3600s;;93600;0 'b_size'=5000B;;1000:;0"},
		{[]checked{damaged, old}, 2, "PGBERTH CRITICAL - damaged; too/old? | 'b_age'=3600s;;93600;0 'b_size'=5000B;;1000:;0 'it%27s_age'=108000s;;93600;0 'it%27s_size'=5000B;;1000:;0"},
		{[]checked{ofJob}, 0, "PGBERTH OK - young and large enough: 1 newest backup | 'one/shop_age'=3600s;;93600;0 'one/shop_size'=5000B;;1000:;0"},
		{nil, 2, "PGBERTH CRITICAL - there are no backups"},
	} {
		if code, text := nagiosText(test.statuses, nil); code != test.code || text != test.want {
			t.Errorf("%d %s\nwant %d %s", code, text, test.code, test.want)
		}
	}
}
