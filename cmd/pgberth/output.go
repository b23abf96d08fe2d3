package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/migrate"
)

// print writes data to standard output.
func (c *cli) print(text string) error {
	if _, err := io.WriteString(c.stdout, text); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// orEmpty makes a list that is empty in JSON too, where nil would be null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (c *cli) printPlan(p *migrate.Plan) error {
	if c.json {
		p.Tables, p.Roles = orEmpty(p.Tables), orEmpty(p.Roles)
		p.Problems, p.Warnings = orEmpty(p.Problems), orEmpty(p.Warnings)
		return writeJSON(c.stdout, "plan", p)
	}
	return c.print(planText(p))
}

// printResult prints what a migration did, or a restore, which verb tells.
func (c *cli) printResult(verb string, r *migrate.Result) error {
	if c.json {
		r.Tables, r.Roles, r.Phases = orEmpty(r.Tables), orEmpty(r.Roles), orEmpty(r.Phases)
		return writeJSON(c.stdout, "result", r)
	}
	return c.print(resultText(verb, r))
}

// planText is what --dry-run prints.
func planText(p *migrate.Plan) string {
	head := table{align: "ll"}
	head.add("from", p.From+versionNote(p.SourceVersion))
	head.add("to", p.To+versionNote(p.TargetVersion))
	head.add("client", orDash(p.Client))
	head.add("streams", fmt.Sprint(p.Jobs))
	head.add("objects", orDash(objectsByType(p.Objects)))
	head.add("rows", count(len(p.Tables), "table")+", "+human.Bytes(p.Bytes)+" at the source")
	head.add("roles", cmp.Or(strings.Join(printableAll(p.Roles), ", "), "none to create"))
	if p.Staging != "" {
		head.add("staging", "loaded as "+p.Staging)
	}
	head.add("renamed", cmp.Or(p.Renamed, "nothing"))
	for _, w := range p.Warnings {
		head.add("warning", strings.TrimPrefix(printable(w.Object)+": ", ": ")+w.Text)
		if w.Remedy != "" {
			head.add("", "try: "+w.Remedy)
		}
	}
	return head.String() + tablesText(p.Tables)
}

func versionNote(version string) string {
	if version == "" {
		return ""
	}
	return " (PostgreSQL " + version + ")"
}

// tablesText lists tables with their sizes, largest first.
func tablesText(tables []migrate.Table) string {
	if len(tables) == 0 {
		return ""
	}
	sorted := slices.SortedStableFunc(slices.Values(tables), func(a, b migrate.Table) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	t := table{align: "rl"}
	t.add("SIZE", "TABLE")
	for _, tbl := range sorted {
		t.add(human.Bytes(tbl.Bytes), printable(tbl.Name))
	}
	return "\n" + t.String()
}

// objectsByType counts objects in one line, the most numerous first:
// "34 TABLE, 21 INDEX, 3 VIEW".
func objectsByType(objects map[string]int) string {
	types := slices.SortedFunc(maps.Keys(objects), func(a, b string) int {
		return cmp.Or(cmp.Compare(objects[b], objects[a]), strings.Compare(a, b))
	})
	for i, name := range types {
		types[i] = human.Thousands(objects[name]) + " " + name
	}
	return strings.Join(types, ", ")
}

// mainObjects sums up how many objects there are, and names the most numerous
// types: "165: 25 ACL, 21 INDEX, ...".
func mainObjects(objects map[string]int) string {
	const most = 8
	sum := 0
	for _, n := range objects {
		sum += n
	}
	types := strings.Split(objectsByType(objects), ", ")
	if len(types) > most {
		types = append(types[:most], "...")
	}
	return human.Thousands(sum) + ": " + orDash(strings.Join(types, ", "))
}

// resultText is the summary of a migration or restore.
func resultText(verb string, r *migrate.Result) string {
	t := table{align: "ll"}
	t.add(verb, printable(r.From)+viaNote(r.FromVia))
	t.add("to", r.To+viaNote(r.ToVia))
	t.add("objects", mainObjects(r.Objects))
	t.add("rows", count(r.Rows, "row")+" in "+count(len(r.Tables), "table")+", "+human.Bytes(r.Bytes))
	if r.LargeObjects > 0 {
		t.add("large objects", human.Thousands(r.LargeObjects))
	}
	if len(r.Roles) > 0 {
		t.add("roles created", strings.Join(printableAll(r.Roles), ", "))
	}
	t.add("checked", checkedText(r))
	switch {
	case r.OldDropped:
		t.add("old database", "dropped")
	case r.OldDatabase != "":
		t.add("old database", "kept as "+printable(r.OldDatabase))
	}
	t.add("time", timesText(r))
	return t.String()
}

func viaNote(via string) string {
	if via == "" {
		return ""
	}
	return " (" + via + ")"
}

// checkedText claims what was checked and no more.
func checkedText(r *migrate.Result) string {
	tables := count(len(r.Tables), "table")
	switch r.Verified {
	case migrate.VerifyData:
		return "the target was read again; row counts and hashes equal the source's in " + tables
	case migrate.VerifyRows:
		return "rows stored equal rows sent in " + tables + "; contents were not read again"
	}
	return "nothing beyond what the servers reported"
}

// timesText is how long it took, and which phases took long enough to matter.
func timesText(r *migrate.Result) string {
	var phases []string
	for _, p := range r.Phases {
		if p.Elapsed*100 >= r.Elapsed {
			phases = append(phases, p.Name+" "+human.Duration(p.Elapsed))
		}
	}
	text := human.Duration(r.Elapsed)
	if r.Bytes > 0 && r.Elapsed > 100*time.Millisecond {
		text += " (" + human.Rate(r.Bytes, r.Elapsed) + ")"
	}
	if len(phases) > 0 {
		text += ": " + strings.Join(phases, ", ")
	}
	return text
}

func printableAll(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = printable(name)
	}
	return out
}
