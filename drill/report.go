package drill

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

// ReportFormat is the version of a report's schema.
const ReportFormat = 1

// A Verdict is what a drill says of a backup.
type Verdict string

// The verdicts. A drill that could not be run says nothing of the backup.
const (
	Passed   Verdict = "passed"
	Rejected Verdict = "rejected"
	NotRun   Verdict = "not run"
)

// A Report is what a drill found. Its JSON is stable: fields may be added, none is removed or changes its meaning.
type Report struct {
	Format  int     `json:"format"`
	ID      string  `json:"id"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"` // in a sentence, unless passed

	Tool    string        `json:"tool"`
	Host    string        `json:"host"`
	Started time.Time     `json:"started"`
	Ended   time.Time     `json:"ended"`
	Elapsed time.Duration `json:"elapsed_ns"`

	Backup BackupInfo `json:"backup"`
	Server ServerInfo `json:"server"`
	RTO    Objective  `json:"rto"`
	RPO    Objective  `json:"rpo"`
	Phases []Phase    `json:"phases"`
	Checks []Check    `json:"checks"`
	Kept   *Kept      `json:"kept,omitempty"`

	// Redacted says that names and values were left out, as the repository of an encrypted backup has it.
	Redacted bool `json:"redacted,omitempty"`

	// Previous is the SHA-256 of the JSON of the report about the same database before this one.
	Previous string `json:"previous_report_sha256,omitempty"`
}

// BackupInfo says what was drilled.
type BackupInfo struct {
	Name             string    `json:"name"`
	Repository       string    `json:"repository,omitempty"`
	Database         string    `json:"database"`
	Snapshot         time.Time `json:"snapshot"`
	Manifest         string    `json:"manifest_sha256,omitempty"` // the manifest's checksum
	ServerVersion    string    `json:"server_version"`
	SystemIdentifier string    `json:"system_identifier,omitempty"`
	PgDump           string    `json:"pg_dump"`
	Encrypted        bool      `json:"encrypted"`
	Tables           int       `json:"tables"`
	Rows             int64     `json:"rows"`
	Raw              int64     `json:"raw_bytes"`
	Stored           int64     `json:"stored_bytes"`
	LargeObjects     int64     `json:"large_objects"`
}

// An Objective is a measured time and its target.
type Objective struct {
	Measured time.Duration `json:"measured_ns,omitempty"` // 0 if it was not
	Target   time.Duration `json:"target_ns,omitempty"`   // 0 if there is none
}

// Missed reports whether there is a target and it was not met.
func (o Objective) Missed() bool { return o.Target > 0 && o.Measured > o.Target }

// Kept says how to look into a server that was left for it, and how to remove it.
type Kept struct {
	Look   string `json:"look"`
	Remove string `json:"remove"`
}

func newReport(opts *Options) *Report {
	started := opts.Now().UTC()
	r := &Report{Format: ReportFormat, Tool: opts.Tool, Host: opts.Host, Started: started,
		Backup: BackupInfo{Name: opts.Backup.Name, Repository: opts.Backup.Repository},
		RTO:    Objective{Target: opts.RTO}, RPO: Objective{Target: opts.RPO}, Phases: []Phase{}, Checks: []Check{}}
	r.ID = newID(started)
	return r
}

func (r *Report) add(c Check) {
	if c.Status == "" {
		c.Status = OK
	}
	r.Checks = append(r.Checks, c)
}

// measure reckons the time of a recovery: everything until the database could be used.
func (r *Report) measure() {
	for _, p := range r.Phases {
		if p.Name != PhaseChecks {
			r.RTO.Measured += p.Elapsed
		}
	}
	if r.RTO.Missed() {
		r.Checks = append(r.Checks, Check{Name: "rto", Title: "The recovery is fast enough", Status: Bad,
			Expected: "at most " + human.Duration(r.RTO.Target), Found: human.Duration(r.RTO.Measured),
			Problems: []string{"the recovery took " + human.Duration(r.RTO.Measured)}})
		r.judge()
	} else if r.RTO.Target > 0 {
		r.Checks = append(r.Checks, Check{Name: "rto", Title: "The recovery is fast enough", Status: OK,
			Expected: "at most " + human.Duration(r.RTO.Target), Found: human.Duration(r.RTO.Measured)})
	}
}

// judge gives the verdict of the checks.
func (r *Report) judge() {
	r.Verdict, r.Reason = Passed, ""
	var failed []string
	for _, c := range r.Checks {
		if c.Status == Bad {
			failed = append(failed, c.Name)
		}
	}
	if len(failed) > 0 {
		r.Verdict = Rejected
		r.Reason = human.Count(len(failed), "check", "checks") + " failed: " + strings.Join(failed, ", ")
		if first := r.firstProblem(); first != "" {
			r.Reason += "; " + first
		}
	}
}

func (r *Report) firstProblem() string {
	for _, c := range r.Checks {
		if c.Status == Bad && len(c.Problems) > 0 {
			return c.Problems[0]
		}
	}
	return ""
}

// Count is how many checks came out so.
func (r *Report) Count(status Status) int {
	n := 0
	for _, c := range r.Checks {
		if c.Status == status {
			n++
		}
	}
	return n
}

// JSON is the report as it is stored, and its SHA-256.
func (r *Report) JSON() (data []byte, sum string, err error) {
	data, err = json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, "", fmt.Errorf("encode the report: %w", err)
	}
	data = append(data, '\n')
	return data, sumOf(data), nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Stored is the report with the hash of its JSON.
func (r *Report) Stored() (*Stored, error) {
	_, sum, err := r.JSON()
	return &Stored{Report: r, Sum: sum}, err
}
