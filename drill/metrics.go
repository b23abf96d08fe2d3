package drill

import (
	"maps"
	"slices"

	"github.com/pgberth/pgberth/internal/textfile"
)

// WriteMetrics writes what is known of the drills of every database, those in history and the new ones, for the textfile
// collector. The time of the last drill that passed is the number to raise an alarm on.
func WriteMetrics(path string, reports []*Report, history []*Stored) error {
	return textfile.Write(path, metrics(reports, history))
}

func metrics(reports []*Report, history []*Stored) []*textfile.Gauge {
	list := slices.Clone(history)
	for _, r := range reports {
		list = append(list, &Stored{Report: r})
	}
	passed := &textfile.Gauge{Name: "pgberth_drill_last_passed_timestamp_seconds", Help: "When the last drill that passed ended."}
	last := &textfile.Gauge{Name: "pgberth_drill_last_timestamp_seconds", Help: "When the last drill ended."}
	verdict := &textfile.Gauge{Name: "pgberth_drill_passed", Help: "1 if the last drill passed, 0 if the backup was rejected, -1 if the drill could not be run."}
	rto := &textfile.Gauge{Name: "pgberth_drill_measured_rto_seconds", Help: "How long the recovery took in the last drill."}
	rpo := &textfile.Gauge{Name: "pgberth_drill_measured_rpo_seconds", Help: "How old the data was when the last drill began."}
	failed := &textfile.Gauge{Name: "pgberth_drill_checks_failed", Help: "Checks that failed in the last drill."}
	duration := &textfile.Gauge{Name: "pgberth_drill_duration_seconds", Help: "How long the last drill took, by phase."}
	databases := map[string]bool{}
	for _, r := range list {
		if r.Backup.Database != "" {
			databases[r.Backup.Database] = true
		}
	}
	for _, database := range slices.Sorted(maps.Keys(databases)) {
		r := Last(list, database)
		if p := LastPassed(list, database); p != nil {
			passed.Add(float64(p.Ended.Unix()), "database", database)
		}
		last.Add(float64(r.Ended.Unix()), "database", database)
		verdict.Add(map[Verdict]float64{Passed: 1, Rejected: 0, NotRun: -1}[r.Verdict], "database", database)
		failed.Add(float64(r.Count(Bad)), "database", database)
		if r.RTO.Measured > 0 {
			rto.Add(r.RTO.Measured.Seconds(), "database", database)
		}
		if r.RPO.Measured > 0 {
			rpo.Add(r.RPO.Measured.Seconds(), "database", database)
		}
		for _, p := range r.Phases {
			duration.Add(p.Elapsed.Seconds(), "database", database, "phase", p.Name)
		}
	}
	return []*textfile.Gauge{passed, last, verdict, rto, rpo, failed, duration}
}
