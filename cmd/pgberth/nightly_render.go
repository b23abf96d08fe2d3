package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// nightlyDisplay is silent but for what is wrong, unless --verbose asks for more. With --json it writes lines for a log.
func (c *cli) nightlyDisplay() display {
	if c.json {
		return &nightlyJSON{jsonDisplay: newJSONDisplay(c.stdout), all: c.verbose}
	}
	return &nightlyLines{lines: &lines{w: c.stderr, quiet: !c.verbose}}
}

type nightlyLines struct{ *lines }

func (l *nightlyLines) show(e progress.Event, now time.Time) {
	switch e := e.(type) {
	case nightly.Failing:
		l.print(nightlyFailureText(e.Failure), now)
	case nightly.JobStart:
		l.say(now, "job %s: begins, into %s", e.Job, printable(e.Repository))
	case nightly.BackupStart:
		l.say(now, "%s/%s: begins", e.Job, printable(e.Database))
	case nightly.BackupEnd:
		l.say(now, "%s/%s: %s, %s", e.Job, printable(e.Database), e.ID, nightlyBackupText(e.Backup))
	case nightly.JobEnd:
		l.say(now, "job %s: %s in %s", e.Job, e.Status, human.Duration(e.Elapsed))
	default:
		l.lines.show(e, now)
	}
}

// say prints what only --verbose asks for.
func (l *nightlyLines) say(now time.Time, format string, args ...any) {
	if !l.quiet {
		l.print(fmt.Sprintf(format, args...), now)
	}
}

// nightlyJSON leaves out what is about single tables, unless it is asked for.
type nightlyJSON struct {
	*jsonDisplay
	all bool
}

func (j *nightlyJSON) show(e progress.Event, now time.Time) {
	switch e.(type) {
	case progress.UnitStart, progress.UnitBytes, progress.UnitEnd:
		if !j.all {
			return
		}
	}
	j.jsonDisplay.show(e, now)
}

// nightlyFailureText says what failed where: "pgberth: job shop, database orders: ...".
func nightlyFailureText(f nightly.Failure) string {
	var where []string
	if f.Job != "" {
		where = append(where, "job "+f.Job)
	}
	switch {
	case f.Database == string(repository.Globals):
		where = append(where, "globals")
	case f.Database != "":
		where = append(where, "database "+printable(f.Database))
	}
	if len(where) == 0 {
		return "pgberth: " + printableText(f.Text)
	}
	return "pgberth: " + strings.Join(where, ", ") + ": " + printableText(f.Text)
}

// nightlyText is the summary of jobs: for people, who have been told what went wrong, or with that for the body of a ping.
func nightlyText(jobs []*nightly.JobReport, reasons bool) string {
	var b strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&b, "job %s: %s in %s, into %s\n", job.Job, job.Status, human.Duration(job.Elapsed), printable(job.Repository))
		t := table{align: "lll"}
		for _, backup := range job.Backups {
			text := nightlyBackupText(backup)
			if len(backup.Suspect) > 0 {
				text += ", SUSPECT"
			}
			if backup.Failed {
				text = "FAILED"
			}
			t.add("  "+printable(backup.Database), orDash(backup.ID), text)
		}
		b.WriteString(t.String())
		if !reasons {
			continue
		}
		for _, backup := range job.Backups {
			for _, why := range backup.Suspect {
				fmt.Fprintf(&b, "  %s is suspect: %s\n", printable(backup.Database), why)
			}
		}
		for _, f := range job.Failures {
			_, _ = io.WriteString(&b, "  "+strings.TrimPrefix(nightlyFailureText(f), "pgberth: ")+"\n")
		}
	}
	return b.String()
}

// nightlyBackupText is what was made: "12,345 rows in 3 tables, 1.2 GB in 10s; 14 kept, 1 removed".
func nightlyBackupText(b *nightly.Backup) string {
	var parts []string
	if b.Database != string(repository.Globals) {
		parts = append(parts, count(b.Rows, "row")+" in "+count(b.Tables, "table"))
	}
	text := strings.Join(append(parts, human.Bytes(b.Size)), ", ") + " in " + human.Duration(b.Elapsed)
	if b.Drilled {
		text += ", drilled"
	}
	if b.Kept > 0 {
		text += "; " + human.Thousands(b.Kept) + " kept"
	}
	if n := len(b.Removed); n > 0 {
		text += ", " + human.Thousands(n) + " removed"
	}
	return text
}

// nightlyOutcome is the last line of a run that did not go well.
func nightlyOutcome(report *nightly.Report) string {
	backups, failed, suspect := 0, 0, 0
	for _, job := range report.Jobs {
		for _, b := range job.Backups {
			backups++
			if b.Failed {
				failed++
			}
			if len(b.Suspect) > 0 {
				suspect++
			}
		}
	}
	switch {
	case report.Status == nightly.Interrupted:
		return "interrupted"
	case report.Status == nightly.Locked:
		return "another run goes on"
	case report.Status == nightly.Suspect:
		return fmt.Sprintf("%d of %s may not be what it should", suspect, count(backups, "backup"))
	case failed > 0:
		return fmt.Sprintf("%d of %s failed", failed, count(backups, "backup"))
	}
	return "the run failed"
}

func nightlyPlanText(p *nightly.JobPlan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %s: from %s into %s\n", p.Job, orDash(printable(p.Server)), printable(p.Repository))
	t := table{align: "lll"}
	for _, backup := range p.Backups {
		removed := "nothing to remove"
		if len(backup.Removed) > 0 {
			removed = "would remove " + strings.Join(backup.Removed, ", ")
		}
		t.add("  "+printable(backup.Database), fmt.Sprintf("%d kept", backup.Kept), removed)
	}
	b.WriteString(t.String())
	return b.String()
}
