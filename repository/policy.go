package repository

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Unlimited, as a number of buckets, keeps one backup of every bucket.
const Unlimited = -1

// A Policy says which backups of a series to keep. A backup is kept if any of its rules wants it. The zero Policy has no
// rule and keeps everything.
//
// Hours, days, weeks (from Monday), months and years are those of a calendar. Of each that has a backup, the newest is kept, as many times as the rule says,
// counted from the newest backup; a rule that has places left at the end keeps the oldest backup too. The ages of
// the rules that begin with Within reach back from the newest backup, not from now.
type Policy struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly int // 0 is no rule

	Within                                                               Age
	WithinHourly, WithinDaily, WithinWeekly, WithinMonthly, WithinYearly Age

	Tags []string       // backups with any of them are kept
	Zone *time.Location // of the calendar; nil is the local one
}

// A Decision is what a policy says of a backup.
type Decision struct {
	Backup  *Backup
	Keep    bool
	Reasons []string // why it is kept
}

// IsEmpty reports whether the policy has no rule.
func (p Policy) IsEmpty() bool { return len(p.rules()) == 0 && len(p.Tags) == 0 }

// Apply decides about the backups of one series, in the order in which they are given. Whatever the policy says, these are kept, and take no
// place of others: backups that are not good, and backups with a time that has not come yet. The newest good backup is always kept.
func (p Policy) Apply(backups []*Backup, now time.Time) []Decision {
	decisions := make([]Decision, len(backups))
	var counted []*Decision
	for i, b := range backups {
		d := &decisions[i]
		d.Backup = b
		switch {
		case !b.Good():
			d.keep("damaged")
		case b.IsFuture(now):
			d.keep("in the future")
		default:
			counted = append(counted, d)
		}
	}
	slices.SortStableFunc(counted, func(a, b *Decision) int {
		return cmp.Or(b.Backup.Time.Compare(a.Backup.Time), strings.Compare(b.Backup.ID, a.Backup.ID))
	})
	p.apply(counted)
	return decisions
}

func (d *Decision) keep(reason string) {
	d.Keep = true
	d.Reasons = append(d.Reasons, reason)
}

// apply decides about good backups, the newest of which comes first.
func (p Policy) apply(newestFirst []*Decision) {
	if len(newestFirst) == 0 {
		return
	}
	if p.IsEmpty() {
		for _, d := range newestFirst {
			d.keep("no policy")
		}
		return
	}
	for _, r := range p.rules() {
		r.apply(newestFirst, p.zone())
	}
	for _, d := range newestFirst {
		for _, tag := range d.Backup.Manifest.Backup.Tags {
			if slices.Contains(p.Tags, tag) {
				d.keep("tag " + tag)
			}
		}
	}
	if newest := newestFirst[0]; !newest.Keep {
		newest.keep("newest")
	}
}

func (p Policy) zone() *time.Location {
	if p.Zone == nil {
		return time.Local
	}
	return p.Zone
}

// A rule keeps the newest backup of each bucket: of a number of buckets, or of those within an age.
type rule struct {
	name   string
	bucket func(t time.Time) string // nil puts every backup into one of its own
	count  int
	within Age
}

func (p Policy) rules() []rule {
	all := []rule{
		{name: "last", count: p.Last},
		{name: "hourly", bucket: hour, count: p.Hourly},
		{name: "daily", bucket: day, count: p.Daily},
		{name: "weekly", bucket: week, count: p.Weekly},
		{name: "monthly", bucket: month, count: p.Monthly},
		{name: "yearly", bucket: year, count: p.Yearly},
		{name: "within", within: p.Within},
		{name: "hourly within", bucket: hour, within: p.WithinHourly},
		{name: "daily within", bucket: day, within: p.WithinDaily},
		{name: "weekly within", bucket: week, within: p.WithinWeekly},
		{name: "monthly within", bucket: month, within: p.WithinMonthly},
		{name: "yearly within", bucket: year, within: p.WithinYearly},
	}
	return slices.DeleteFunc(all, func(r rule) bool { return r.count == 0 && r.within == Age{} })
}

// Buckets of the calendar. An hour that is repeated when the clocks go back is another one.
func hour(t time.Time) string  { return t.Format("2006-01-02 15 -07:00") }
func day(t time.Time) string   { return t.Format("2006-01-02") }
func month(t time.Time) string { return t.Format("2006-01") }
func year(t time.Time) string  { return t.Format("2006") }

func week(t time.Time) string {
	year, week := t.ISOWeek()
	return fmt.Sprintf("%d week %d", year, week)
}

func (r rule) apply(newestFirst []*Decision, zone *time.Location) {
	reason, left := r.name, r.count
	var since time.Time
	if r.within != (Age{}) {
		reason, left = r.name+" "+r.within.String(), Unlimited
		since = r.within.before(newestFirst[0].Backup.Time.In(zone))
	}
	seen := map[string]bool{}
	for i, d := range newestFirst {
		t := d.Backup.Time.In(zone)
		if left == 0 || !t.After(since) && r.within != (Age{}) {
			return
		}
		bucket := strconv.Itoa(i)
		if r.bucket != nil {
			bucket = r.bucket(t)
		}
		switch {
		case !seen[bucket]:
			d.keep(reason)
		case i == len(newestFirst)-1:
			d.keep("oldest " + reason)
		default:
			continue
		}
		seen[bucket] = true
		if left > 0 {
			left--
		}
	}
}

// An Age is a span of the calendar, as in 2y5m7d3h.
type Age struct{ Years, Months, Days, Hours int }

// ageUnits are the letters of an age, the largest first.
const ageUnits = "ymdh"

func (a *Age) parts() [len(ageUnits)]*int {
	return [...]*int{&a.Years, &a.Months, &a.Days, &a.Hours}
}

// ParseAge reads an age: numbers with the letters y, m, d and h, each once, in this order.
func ParseAge(s string) (Age, error) {
	bad := errors.New("an age is like 30d, or 2y5m7d3h")
	var a Age
	unit := 0
	for rest := s; rest != ""; {
		digits := strings.IndexAny(rest, ageUnits)
		if digits < 1 {
			return Age{}, bad
		}
		n, err := strconv.ParseUint(rest[:digits], 10, 16)
		i := strings.IndexByte(ageUnits, rest[digits])
		if err != nil || i < unit {
			return Age{}, bad
		}
		*a.parts()[i] = int(n)
		unit, rest = i+1, rest[digits+1:]
	}
	if a == (Age{}) {
		return Age{}, bad
	}
	return a, nil
}

func (a Age) String() string {
	var b strings.Builder
	for i, n := range a.parts() {
		if *n != 0 {
			fmt.Fprintf(&b, "%d%c", *n, ageUnits[i])
		}
	}
	return b.String()
}

// before is the time that is as old, on the calendar of t's zone.
func (a Age) before(t time.Time) time.Time {
	return t.AddDate(-a.Years, -a.Months, -a.Days).Add(-time.Duration(a.Hours) * time.Hour)
}
