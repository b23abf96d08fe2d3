package drill

import (
	"fmt"
	"slices"
	"strings"
)

// countsOnly are the checks whose expected and found values are numbers, sizes and times. Those of all others may name
// something.
var countsOnly = []string{"files", "decryption", "contents", "freshness", "restore", "roles", "objects", "extensions", "indexes", "constraints", "owners", "privileges",
	"locale", "definitions", "collation versions", "sequences", "row counts", "row hashes", "large objects", "amcheck", "rto"}

// forRepository is the report as a repository keeps it. Of an encrypted backup that is a copy which tells no more than the
// backup's public manifest does: no name of an object or a role, and no value.
func (r *Report) forRepository() *Report {
	if !r.Backup.Encrypted || r.Redacted {
		return r
	}
	c := *r
	c.Redacted, c.Kept = true, nil
	if !strings.HasPrefix(c.Server.Image, "postgres:") { // of the user's own, whose name comes from within the backup
		c.Server.Image, c.Server.ImageID = "", ""
	}
	c.Checks = slices.Clone(r.Checks)
	assertions := 0
	for i := range c.Checks {
		check := &c.Checks[i]
		check.More, check.Problems = check.problems(), nil
		switch {
		case slices.Contains(countsOnly, check.Name):
		case check.Name == "smoke":
			check.Title, check.Expected, check.Found = "The application's role can read", "", ""
		default:
			assertions++
			check.Name = fmt.Sprintf("assertion %d", assertions)
			check.Title, check.Expected, check.Found = check.Name, "", ""
		}
	}
	switch c.Verdict {
	case Rejected:
		c.judge()
	case NotRun:
		c.Reason = "the reason may name something that is encrypted in the backup, and is not kept here"
	}
	return &c
}
