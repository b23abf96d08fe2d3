//go:build bench

// Package bench measures pgberth beside its peers: the same databases, the same
// two servers, in turn, in one run. What counts are the ratios: seconds say more
// about the machine. Run it with make bench or make bench-quick.
package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A contest is a database that several tools copy from one server to the other.
type contest struct {
	*field
	Name     string
	db, size string
	entrants []*entrant
	goals    []goal
	// keep keeps what earlier runs have filled until the end: a file system passes over the
	// inodes of files deleted lately, one by one, and thousands of them slow down whoever
	// comes next.
	keep bool
	kept []string
}

// An entrant is a tool with its settings.
type entrant struct {
	name string
	// command copies the database. Its target exists, empty, if create is set.
	command func(db string) *exec.Cmd
	create  bool
	events  bool // prints pgberth's events
	once    bool // far behind: one round tells enough
	floor   func(t *testing.T, db string)

	runs []figures
	same string // what compare said of the result
}

// A goal is a ratio of median times to be reached: ours to the best of theirs.
type goal struct {
	text   string
	ours   string
	theirs []string
	ratio  float64
	of     func(ours, theirs figures) float64 // nil: wall-clock times
}

func (f *field) ours(name string, args ...string) *entrant { return f.build(f.binary, name, args...) }

// builds are other builds of pgberth that take part, to see what a change gave:
// "before=/tmp/pgberth-before;after=/tmp/pgberth-after".
func (f *field) builds() []*entrant {
	var entrants []*entrant
	for _, build := range strings.Split(os.Getenv("PGBERTH_BENCH_BUILDS"), ";") {
		if name, path, found := strings.Cut(build, "="); found {
			entrants = append(entrants, f.build(path, name))
		}
	}
	return entrants
}

func (f *field) build(binary, name string, args ...string) *entrant {
	return &entrant{name: name, events: true, command: func(db string) *exec.Cmd {
		return exec.Command(binary, append([]string{"migrate", "--json", "--from", f.from(db), "--to", f.dst.Endpoint(db)}, args...)...)
	}}
}

// theirs is a peer. SRC and DST in its script are the databases.
func (f *field) theirs(name, script string) *entrant {
	return &entrant{name: name, create: true, command: func(db string) *exec.Cmd {
		return f.peer(fmt.Sprintf("SRC=%q DST=%q DIR=%q\n%s", f.from(db), f.dst.URL(db), f.dir, script))
	}}
}

func (f *field) pgcopydb(name, flags string) *entrant {
	return f.theirs(name, `rm -rf /tmp/pgcopydb; pgcopydb clone --source "$SRC" --target "$DST" --dir /tmp/pgcopydb --skip-extensions `+flags)
}

// run lets every entrant have its turn, as many times as there are rounds,
// beginning with another each time.
func (c *contest) run(t *testing.T, rounds int) {
	c.size = size(t, c.src, c.db)
	fmt.Printf("\n%s: %s\n", c.Name, c.size)
	c.src.Exec(t, c.db, warm)
	c.turn(t, c.entrants[0]) // not counted: it pays for a cold disk and cold programs
	for round := range rounds {
		for i := range c.entrants {
			e := c.entrants[(i+round)%len(c.entrants)]
			if e.once && round > 0 {
				continue
			}
			run := c.turn(t, e)
			e.runs = append(e.runs, run)
			if round == 0 {
				e.same = c.check(t)
			}
			fmt.Printf("  %-46s %6.2f s   CPU source %6.2f, target %6.2f, tool %5.2f\n", e.name, run.Wall.Seconds(),
				run.CPU.Source.Seconds(), run.CPU.Target.Seconds(), run.CPU.Tool.Seconds())
		}
	}
	c.dst.DropDB(t, c.db)
	for _, db := range c.kept {
		c.dst.DropDB(t, db)
	}
}

// warm reads every table once: each run then finds the source in memory.
const warm = `DO $$ DECLARE r regclass; BEGIN
  FOR r IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
    EXECUTE 'SELECT count(*) FROM ' || r;
  END LOOP; END $$`

// turn is one run of one entrant.
func (c *contest) turn(t *testing.T, e *entrant) figures {
	t.Helper()
	c.clear(t)
	if e.create {
		// As it is at the source: pgberth sees to that by itself.
		c.dst.Exec(t, "postgres", "CREATE DATABASE "+c.db+" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
	}
	c.dst.Exec(t, "postgres", "CHECKPOINT")
	if e.floor != nil {
		return c.timed(t, func() { e.floor(t, c.db) })
	}
	cmd := e.command(c.db)
	var output timeline
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if e.events {
		cmd.Stdout = &output
	}
	before := c.usage(t, 0)
	output.start = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tool := 0
	if e.events {
		tool = cmd.Process.Pid
	}
	s := c.sample(t, tool)
	err := cmd.Wait()
	wall := time.Since(output.start)
	cores := s.end()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", e.name, err, &stderr, output.last)
	}
	c.dst.FindAgain(t) // it may have been restarted
	f := figures{Wall: wall, CPU: c.usage(t, 0).minus(before), Cores: cores, Units: output.spans}
	if f.CPU.Target < 0 {
		f.CPU.Target = 0 // it was restarted, and its account with it
	}
	if e.events {
		f.CPU.Tool = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		f.Memory = maxRSS(cmd.ProcessState)
	}
	return f
}

// clear makes room for the next run.
func (c *contest) clear(t *testing.T) {
	if !c.keep || c.dst.Row(t, "postgres", "SELECT count(*) FROM pg_database WHERE datname = '"+c.db+"'") == "0" {
		c.dst.DropDB(t, c.db)
		return
	}
	c.kept = append(c.kept, fmt.Sprintf("%s_%d", c.db, len(c.kept)))
	c.dst.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", c.db, c.kept[len(c.kept)-1]))
}

// timed measures what the servers do by themselves.
func (c *contest) timed(t *testing.T, do func()) figures {
	before, start := c.usage(t, 0), time.Now()
	s := c.sample(t, 0)
	do()
	wall := time.Since(start)
	return figures{Wall: wall, Cores: s.end(), CPU: c.usage(t, 0).minus(before)}
}

// check says whether the target's database holds what the source's does.
func (c *contest) check(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(c.binary, "compare", "--from", c.from(c.db), "--to", c.dst.Endpoint(c.db), "--quiet").CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err == nil {
		return "same"
	}
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 20 {
		return "differs: " + text
	}
	t.Fatalf("compare: %v\n%s", err, text)
	return ""
}

func (c *contest) find(name string) *entrant {
	i := slices.IndexFunc(c.entrants, func(e *entrant) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return c.entrants[i]
}

// The entrants.
const (
	ours        = "pgberth, --fast-load off"
	oursOn      = "pgberth, --fast-load on"
	oursRestart = "pgberth, --fast-load restart"
	copyBinary  = "pgcopydb, binary COPY, 2 jobs"
	copyText    = "pgcopydb, as it comes, 4 jobs"
	copySplit   = "pgcopydb, binary COPY, split tables"
	dumpCustom  = "pg_dump -Fc -Z0 | pg_restore"
	dumpPlain   = "pg_dump | psql"
	dumpFolder  = "pg_dump -Fd -j2, pg_restore -j2"
	dumpThenTwo = "pg_dump -Fc, pg_restore -j2"
	serverFloor = "the servers alone, through a file"
)

func (f *field) allPeers() []*entrant {
	return []*entrant{
		f.pgcopydb(copyBinary, "--table-jobs 2 --index-jobs 2 --use-copy-binary"),
		f.pgcopydb(copyText, ""),
		f.theirs(dumpCustom, `pg_dump -Fc -Z0 -d "$SRC" | pg_restore -d "$DST"`),
		once(f.theirs(dumpFolder, `rm -rf "$DIR/d"; pg_dump -Fd -Z0 -j2 -f "$DIR/d" -d "$SRC"; pg_restore -j2 -d "$DST" "$DIR/d"; rm -rf "$DIR/d"`)),
		once(f.theirs(dumpPlain, `pg_dump -d "$SRC" | psql -q -v ON_ERROR_STOP=1 -d "$DST" >/dev/null`)),
	}
}

func once(e *entrant) *entrant {
	e.once = true
	return e
}

func TestBench(t *testing.T) {
	f := newField(t)
	rounds := number(t, "PGBERTH_BENCH_ROUNDS", 3)
	r := newReport(t, f, rounds)
	defer r.write(t)
	contests := []struct {
		name string
		make func(t *testing.T) *contest
	}{
		{"mixed", f.mixedContest},
		{"one-table", f.oneTableContest},
		{"many-relations", f.manyContest},
	}
	for _, contest := range contests {
		t.Run(contest.name, func(t *testing.T) {
			c := contest.make(t)
			c.field, c.Name = f, contest.name
			c.entrants = append(c.entrants, f.builds()...)
			c.entrants = slices.DeleteFunc(c.entrants, func(e *entrant) bool { return !wanted(e.name) })
			c.run(t, rounds)
			r.add(c)
		})
	}
}

// wanted says whether an entrant takes part: all do, unless words of the names of some
// are given.
func wanted(name string) bool {
	words := os.Getenv("PGBERTH_BENCH_ONLY")
	return words == "" || slices.ContainsFunc(strings.Split(words, ";"), func(word string) bool { return strings.Contains(name, word) })
}

func (f *field) mixedContest(t *testing.T) *contest {
	scale := number(t, "PGBERTH_BENCH_SCALE", 60)
	peers := f.allPeers()
	entrants := append([]*entrant{f.ours(ours, "--fast-load=off"), f.ours(oursOn, "--fast-load=on"), f.ours(oursRestart, "--fast-load=restart")}, peers...)
	var names []string
	for _, p := range peers {
		names = append(names, p.name)
	}
	entrants = append(entrants, &entrant{name: serverFloor, create: true, floor: f.floor})
	return &contest{
		db: mixed(t, f.src, scale), entrants: entrants,
		goals: []goal{
			{"against the best of all peers", ours, names, 0.85, nil},
			{"against the best of all peers", oursOn, names, 0.75, nil},
			{"against the best of all peers", oursRestart, names, 0.65, nil},
			{"against pgcopydb as it comes, and pg_dump -Fc | pg_restore", ours, []string{copyText, dumpCustom}, 0.65, nil},
			{"against the servers alone", ours, []string{serverFloor}, 1.10, nil},
			{"own CPU to the servers'", ours, []string{ours}, 0.06, func(ours, _ figures) float64 {
				return ours.CPU.Tool.Seconds() / ours.CPU.servers().Seconds()
			}},
		},
	}
}

func (f *field) oneTableContest(t *testing.T) *contest {
	return &contest{
		db: oneTable(t, f.src, number(t, "PGBERTH_BENCH_SCALE", 60)/3),
		entrants: []*entrant{
			f.ours(ours, "--fast-load=off"),
			f.pgcopydb(copySplit, "--table-jobs 2 --index-jobs 2 --use-copy-binary --split-tables-larger-than 50MB"),
			f.pgcopydb(copyBinary, "--table-jobs 2 --index-jobs 2 --use-copy-binary"),
		},
		goals: []goal{{"against pgcopydb with split tables and binary COPY", ours, []string{copySplit}, 0.8, nil}},
	}
}

func (f *field) manyContest(t *testing.T) *contest {
	return &contest{
		db: many(t, f.src), keep: true,
		entrants: []*entrant{
			f.ours(ours, "--fast-load=off"),
			f.theirs(dumpThenTwo, `pg_dump -Fc -f "$DIR/many" -d "$SRC"; pg_restore -j2 -d "$DST" "$DIR/many"; rm "$DIR/many"`),
			f.pgcopydb(copyBinary, "--table-jobs 2 --index-jobs 2 --use-copy-binary"),
		},
		goals: []goal{{"against pg_dump -Fc then pg_restore -j2, and pgcopydb", ours, []string{dumpThenTwo, copyBinary}, 0.75, nil}},
	}
}
