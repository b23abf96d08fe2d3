package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/compare"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
)

const compareLong = `compare says whether two databases hold the same, and if not, where they differ:
in definitions, owners, privileges, comments and settings, in the values of
sequences, and in rows, by count and by a hash that does not depend on their
order. Each side is read in one snapshot; nothing is written.

The exit status is 0 if they hold the same, and 20 if not.`

// errDiffers makes the exit status of a comparison that was reported.
var errDiffers = errors.New("the databases differ")

type compareFlags struct {
	endpointFlags
	jobs       streams
	schemaOnly bool
	wire       wireFlag
}

func newCompareCommand(c *cli) *cobra.Command {
	f := compareFlags{wire: newWireFlag()}
	cmd := &cobra.Command{
		Use:   "compare [--from ENDPOINT] [--to ENDPOINT]",
		Short: "Say whether two databases hold the same, and where they differ",
		Long:  compareLong,
		Example: `  pgberth compare --from postgres:///shop --to docker://shop-db
  pgberth compare --from docker://shop-db/shop --to docker://shop-db/shop_before_20250102030405`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCompare(cmd.Context(), cmd, c, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.add(flags)
	c.docker.add(flags)
	flags.VarP(&f.jobs, "jobs", "j", "tables read at once (default by the machine)")
	flags.Var(&f.wire, "wire-compress", wireUsage)
	flags.BoolVar(&f.schemaOnly, "schema-only", false, "leave out rows, values of sequences and large objects")
	return cmd
}

func runCompare(ctx context.Context, cmd *cobra.Command, c *cli, f compareFlags) error {
	var report *compare.Report
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		r := &resolver{cmd: cmd, c: c, project: f.project, reporter: reporter, wire: &f.wire.Compression}
		defer func() { err = r.finish(ctx, err) }()
		from, to, err := r.both(ctx, f.endpointFlags)
		if err != nil {
			return err
		}
		report, err = compare.Run(ctx, compare.Options{
			From: from.Endpoint, To: to.Endpoint, Jobs: int(f.jobs), SchemaOnly: f.schemaOnly, Reporter: reporter,
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := c.printReport(report); err != nil {
		return err
	}
	if !report.Same {
		return errDiffers
	}
	return nil
}

// A comparison is a compare.Report in JSON, whose differences were printed
// before it, one a line.
type comparison struct {
	*compare.Report
	Differences int `json:"differences"`
}

func (c *cli) printReport(r *compare.Report) error {
	if !c.json {
		return c.print(reportText(r))
	}
	for _, d := range r.Differences {
		if err := writeJSON(c.stdout, "difference", d); err != nil {
			return err
		}
	}
	return writeJSON(c.stdout, "summary", comparison{r, len(r.Differences)})
}

// reportText lists the differences, grouped by object.
func reportText(r *compare.Report) string {
	var b strings.Builder
	objects, last := 0, ""
	for _, d := range r.Differences {
		if heading := d.Kind + " " + printable(d.Object); heading != last {
			objects++
			last = heading
			b.WriteString(heading + "\n")
		}
		b.WriteString(differenceText(d))
	}
	if objects > 0 {
		b.WriteString("\n")
	}
	sides := table{align: "ll"}
	sides.add("from", r.From.Name+versionNote(r.From.Version))
	sides.add("to", r.To.Name+versionNote(r.To.Version))
	b.WriteString(sides.String())
	if r.Same {
		b.WriteString("same: " + comparedText(r) + "\n")
	} else {
		fmt.Fprintf(&b, "different: %s in %s; compared %s\n",
			count(len(r.Differences), "difference"), count(objects, "object"), comparedText(r))
	}
	return b.String()
}

// comparedText says what was compared: "412 objects, 21 tables, 46,281 rows".
func comparedText(r *compare.Report) string {
	objects := 0
	for _, n := range r.Objects {
		objects += n
	}
	parts := []string{count(objects, "object"), count(r.Tables, "table"), count(r.Rows, "row")}
	if r.LargeObjects > 0 {
		parts = append(parts, count(r.LargeObjects, "large object"))
	}
	return strings.Join(parts, ", ") + " in " + human.Duration(r.Elapsed)
}

// shortValue is how long a value may be that stands on the line of its aspect.
const shortValue = 60

func differenceText(d compare.Difference) string {
	note := ""
	if d.Note != "" {
		note = ": " + d.Note
	}
	switch {
	case d.Aspect == "presence" && d.From == "missing":
		return "  missing at the source" + note + "\n"
	case d.Aspect == "presence" && d.To == "missing":
		return "  missing at the target" + note + "\n"
	case isShort(d.From) && isShort(d.To):
		return fmt.Sprintf("  %s: %s at the source, %s at the target\n", d.Aspect, d.From, d.To)
	}
	return fmt.Sprintf("  %s:\n    source: %s\n    target: %s\n", d.Aspect, indentMore(d.From), indentMore(d.To))
}

func isShort(value string) bool { return len(value) <= shortValue && printable(value) == value }

// indentMore keeps a value of several lines apart from what follows it.
func indentMore(value string) string {
	lines := strings.Split(value, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n            ")
}
