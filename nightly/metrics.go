package nightly

import (
	"context"
	"time"

	"github.com/pgberth/pgberth/internal/textfile"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// metrics writes the job's metrics. When a database was last backed up is what the repository says, so that a run that fails
// leaves it as it was. That they cannot be written is reported and fails no backup, as with pings.
func (r *run) metrics(ctx context.Context) {
	if r.job.Metrics == "" {
		return
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	backups, err := r.repo.List(ctx, "")
	if err == nil {
		err = textfile.Write(r.job.Metrics, gauges(r.report, backups, r.Now()))
	}
	if err != nil {
		r.Reporter.Report(progress.Warning{Object: r.job.Name, Text: "the metrics were not written: " + err.Error()})
	}
}

func gauges(report *JobReport, backups []*repository.Backup, now time.Time) []*textfile.Gauge {
	g := func(name, help string) *textfile.Gauge { return &textfile.Gauge{Name: "pgberth_" + name, Help: help} }
	var (
		attempt  = g("last_attempt_timestamp_seconds", "When the last run of the job began.")
		status   = g("last_exit_status", "Exit status of the last run of the job: 0 done, 1 failed, 3 suspect, 130 interrupted.")
		elapsed  = g("job_duration_seconds", "Duration of the last run of the job.")
		success  = g("last_success_timestamp_seconds", "When the newest good backup of the database was begun.")
		count    = g("backups", "Good backups of the database in the repository.")
		size     = g("backup_size_bytes", "Stored size of the newest good backup of the database.")
		rows     = g("backup_rows", "Rows in the newest good backup of the database.")
		failed   = g("backup_failed", "1 if the last run failed to back up the database.")
		suspect  = g("backup_suspect", "1 if the last backup of the database has fewer rows or bytes than it should.")
		duration = g("backup_duration_seconds", "Duration of the last backup of the database.")
		phases   = g("backup_phase_duration_seconds", "Duration of the last backup of the database, by phase.")
	)
	seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	attempt.Add(seconds(report.Started), "job", report.Job)
	status.Add(float64(report.Status), "job", report.Job)
	elapsed.Add(now.Sub(report.Started).Seconds(), "job", report.Job)

	good := map[repository.Series]int{}
	newest := map[repository.Series]*repository.Backup{}
	var order []repository.Series
	for _, b := range backups {
		if !b.Counts(now) || b.Series.IsOwn() && b.Series != repository.Globals {
			continue
		}
		if good[b.Series]++; good[b.Series] == 1 {
			order = append(order, b.Series)
		}
		newest[b.Series] = b
	}
	for _, s := range order {
		labels := []string{"job", report.Job, "database", s.Name()}
		success.Add(seconds(newest[s].Time), labels...)
		count.Add(float64(good[s]), labels...)
		size.Add(float64(newest[s].Size), labels...)
		rows.Add(float64(newest[s].Manifest.Total().Rows), labels...)
	}
	for _, b := range report.Backups {
		labels := []string{"job", report.Job, "database", b.Database}
		failed.Add(flag(b.Failed), labels...)
		suspect.Add(flag(len(b.Suspect) > 0), labels...)
		duration.Add(b.Elapsed.Seconds(), labels...)
		for _, p := range b.Phases {
			phases.Add(p.Elapsed.Seconds(), append(labels, "phase", p.Phase)...)
		}
	}
	return []*textfile.Gauge{attempt, status, elapsed, success, count, size, rows, failed, suspect, duration, phases}
}

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}
