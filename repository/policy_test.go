package repository

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/pgtest"
)

func at(t testing.TB, zone, s string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04 -0700"} {
		if at, err := time.ParseInLocation(layout, s, loc); err == nil {
			return at
		}
	}
	t.Fatalf("time %q", s)
	return time.Time{}
}

func goodBackup(when time.Time, tags ...string) *Backup {
	return &Backup{Series: "shop", ID: newID(when, nil), Time: when.UTC().Truncate(time.Second),
		Manifest: &archive.Manifest{Backup: archive.ManifestBackup{Tags: tags}}}
}

// reasons are what a policy says, by local time.
func reasons(p Policy, backups []*Backup, now time.Time) []string {
	var list []string
	for _, d := range p.Apply(backups, now) {
		line := d.Backup.Time.In(p.zone()).Format("2006-01-02 15:04") + ": "
		if d.Keep != (len(d.Reasons) > 0) {
			line += "REASONS AND VERDICT DIFFER "
		}
		list = append(list, line+strings.Join(d.Reasons, ", "))
	}
	return list
}

func TestPolicy(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		policy  Policy
		backups []string // local times
		want    []string
	}{
		"last": {Policy{Last: 2}, []string{"2026-01-01 02:00", "2026-01-02 02:00", "2026-01-03 02:00"},
			[]string{"2026-01-01 02:00: ", "2026-01-02 02:00: last", "2026-01-03 02:00: last"}},
		"newest of a day": {Policy{Daily: 2}, []string{"2026-01-01 02:00", "2026-01-02 02:00", "2026-01-05 02:00", "2026-01-05 23:59", "2026-01-06 00:00"},
			[]string{"2026-01-01 02:00: ", "2026-01-02 02:00: ", "2026-01-05 02:00: ", "2026-01-05 23:59: daily", "2026-01-06 00:00: daily"}},
		"weeks start on Monday": {Policy{Weekly: 9}, []string{"2025-12-28 02:00", "2025-12-29 02:00", "2026-01-04 23:00", "2026-01-05 00:30"},
			[]string{"2025-12-28 02:00: weekly", "2025-12-29 02:00: ", "2026-01-04 23:00: weekly", "2026-01-05 00:30: weekly"}},
		"leap day": {Policy{Monthly: 2, Yearly: 1}, []string{"2028-02-28 02:00", "2028-02-29 02:00", "2028-03-01 02:00"},
			[]string{"2028-02-28 02:00: ", "2028-02-29 02:00: monthly", "2028-03-01 02:00: monthly, yearly"}},
		"the oldest fills the last place": {Policy{Yearly: 3}, []string{"2026-01-01 02:00", "2026-05-02 02:00", "2026-06-03 02:00"},
			[]string{"2026-01-01 02:00: oldest yearly", "2026-05-02 02:00: ", "2026-06-03 02:00: yearly"}},
		"unlimited": {Policy{Monthly: Unlimited}, []string{"2026-01-01 02:00", "2026-01-02 02:00", "2026-02-01 02:00", "2027-02-01 02:00"},
			[]string{"2026-01-01 02:00: oldest monthly", "2026-01-02 02:00: monthly", "2026-02-01 02:00: monthly", "2027-02-01 02:00: monthly"}},
		"the hour that comes twice": {Policy{Hourly: 2}, []string{"2026-10-25 02:10 +0200", "2026-10-25 02:50 +0200", "2026-10-25 02:10 +0100"},
			[]string{"2026-10-25 02:10: ", "2026-10-25 02:50: hourly", "2026-10-25 02:10: hourly"}},
		"within counts from the newest": {Policy{Within: Age{Days: 2}}, []string{"2026-01-01 01:59", "2026-01-01 02:00", "2026-01-01 02:01", "2026-01-03 02:00"},
			[]string{"2026-01-01 01:59: ", "2026-01-01 02:00: ", "2026-01-01 02:01: within 2d", "2026-01-03 02:00: within 2d"}},
		"within a day of 23 hours": {Policy{Within: Age{Days: 1}}, []string{"2026-03-28 12:00", "2026-03-28 12:01", "2026-03-29 12:00"},
			[]string{"2026-03-28 12:00: ", "2026-03-28 12:01: within 1d", "2026-03-29 12:00: within 1d"}},
		"daily within": {Policy{WithinDaily: Age{Months: 1}}, []string{"2026-01-05 02:00", "2026-01-08 02:00", "2026-01-08 03:00", "2026-02-06 02:00"},
			[]string{"2026-01-05 02:00: ", "2026-01-08 02:00: ", "2026-01-08 03:00: daily within 1m", "2026-02-06 02:00: daily within 1m"}},
		"the newest stays": {Policy{Tags: []string{"none"}}, []string{"2026-01-01 02:00", "2026-01-02 02:00"},
			[]string{"2026-01-01 02:00: ", "2026-01-02 02:00: newest"}},
		"no policy": {Policy{}, []string{"2026-01-01 02:00", "2026-01-02 02:00"},
			[]string{"2026-01-01 02:00: no policy", "2026-01-02 02:00: no policy"}},
		"nothing": {Policy{Last: 1}, nil, nil},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			test.policy.Zone = berlin
			var backups []*Backup
			for _, s := range test.backups {
				backups = append(backups, goodBackup(at(t, "Europe/Berlin", s)))
			}
			if diff := cmp.Diff(test.want, reasons(test.policy, backups, at(t, "UTC", "2030-01-01 00:00"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPolicyCountsGoodOnly keeps what is damaged or in the future, and gives it no place.
func TestPolicyCountsGoodOnly(t *testing.T) {
	now := at(t, "UTC", "2026-01-10 00:00")
	backups := []*Backup{
		goodBackup(at(t, "UTC", "2026-01-01 02:00"), "keep", "x"),
		goodBackup(at(t, "UTC", "2026-01-02 02:00")),
		goodBackup(at(t, "UTC", "2026-01-03 02:00")),
		goodBackup(at(t, "UTC", "2026-01-04 02:00")),
		goodBackup(at(t, "UTC", "2026-01-10 01:01")),
		goodBackup(at(t, "UTC", "2031-01-01 02:00"), "keep"),
	}
	backups[3].Err, backups[3].Manifest = errors.New("no manifest"), nil
	want := []string{"2026-01-01 02:00: tag keep", "2026-01-02 02:00: ", "2026-01-03 02:00: last, within 1h",
		"2026-01-04 02:00: damaged", "2026-01-10 01:01: in the future", "2031-01-01 02:00: in the future"}
	p := Policy{Last: 1, Within: Age{Hours: 1}, Tags: []string{"keep", "y"}, Zone: time.UTC}
	if diff := cmp.Diff(want, reasons(p, backups, now)); diff != "" {
		t.Error(diff)
	}
}

func TestParseAge(t *testing.T) {
	for s, want := range map[string]Age{"30d": {Days: 30}, "2y5m7d3h": {2, 5, 7, 3}, "1h": {Hours: 1}, "1y1h": {Years: 1, Hours: 1}, "012d": {Days: 12}} {
		if got, err := ParseAge(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0d", "d", "30", "30D", "1d1d", "1d2m", "-1d", "1.5d", "1 d", "1w", "99999999999d", "70000d", "1d "} {
		if got, err := ParseAge(s); err == nil {
			t.Errorf("%q is %+v", s, got)
		}
	}
	if got := (Age{2, 5, 7, 3}).String(); got != "2y5m7d3h" {
		t.Error(got)
	}
}

// zones have whole and half hours, clocks that go back over midnight, and days that never were.
var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia",
	"America/Sao_Paulo", "Asia/Kolkata", "Pacific/Chatham", "Africa/Casablanca", "America/Havana", "Asia/Kathmandu"}

// A calendar is a random history of backups.
type calendar struct {
	policy  Policy
	backups []*Backup
	now     time.Time
}

func randomCalendar(t testing.TB, rnd *rand.Rand) calendar {
	zone, err := time.LoadLocation(zones[rnd.IntN(len(zones))])
	if err != nil {
		t.Fatal(err)
	}
	c := calendar{policy: randomPolicy(rnd)}
	c.policy.Zone = zone
	// From 1999 to 2039: leap days, and transitions of all kinds.
	clock := time.Date(1999+rnd.IntN(40), time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), 0, 0, zone)
	steps := []time.Duration{time.Minute, 17 * time.Minute, time.Hour, 5 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 31 * 24 * time.Hour, 200 * 24 * time.Hour}
	step := steps[rnd.IntN(len(steps))]
	for range rnd.IntN(60) {
		switch rnd.IntN(20) {
		case 0: // the clock is set back
			clock = clock.Add(-time.Duration(rnd.Int64N(int64(3*step) + int64(2*time.Hour))))
		case 1: // nothing ran for a while
			clock = clock.Add(time.Duration(rnd.Int64N(int64(20*step) + 1)))
		case 2: // twice in a second
		case 3:
			step = steps[rnd.IntN(len(steps))]
		default:
			clock = clock.Add(step + time.Duration(rnd.Int64N(int64(step)/10+1)))
		}
		b := goodBackup(clock)
		b.ID = b.ID[:len(b.ID)-4] + fmt.Sprintf("%04x", rnd.IntN(1<<16))
		if rnd.IntN(10) == 0 {
			b.Manifest.Backup.Tags = []string{"keep"}
		}
		if rnd.IntN(10) == 0 {
			b.Err, b.Manifest = errors.New("damaged"), nil
		}
		c.backups = append(c.backups, b)
	}
	c.now = clock.Add(time.Duration(rnd.Int64N(int64(10 * step)))) // which may be before some of them
	if rnd.IntN(3) == 0 {
		c.now = clock.Add(-step)
	}
	return c
}

func randomPolicy(rnd *rand.Rand) Policy {
	number := func() int {
		return []int{0, 0, 0, Unlimited, 1, 2, 3, 7, 30}[rnd.IntN(9)]
	}
	age := func() Age {
		return []Age{{}, {}, {}, {}, {Hours: 30}, {Days: 9}, {Months: 2}, {Years: 1}, {1, 2, 3, 4}}[rnd.IntN(9)]
	}
	p := Policy{Last: number(), Hourly: number(), Daily: number(), Weekly: number(), Monthly: number(), Yearly: number()}
	if rnd.IntN(2) == 0 {
		p = Policy{Within: age(), WithinHourly: age(), WithinDaily: age(), WithinWeekly: age(), WithinMonthly: age(), WithinYearly: age()}
	}
	if rnd.IntN(3) == 0 {
		p.Tags = []string{"other", "keep"}
	}
	return p
}

// TestPolicyAgainstModel compares random histories with a model that is as simple as can be.
func TestPolicyAgainstModel(t *testing.T) {
	n := 1000
	if pgtest.Soak() {
		n = 20_000
	}
	removed := 0
	for seed := range n {
		rnd := rand.New(rand.NewPCG(uint64(seed), 4))
		c := randomCalendar(t, rnd)
		got, want := kept(c.policy.Apply(c.backups, c.now)), c.model()
		removed += len(c.backups) - len(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d, %+v, now %s: %s", seed, c.policy, c.now, diff)
		}
		c.assertSafe(t, seed, got)

		// The order in which they come does not matter, and what was kept once is kept again.
		mixed := slices.Clone(c.backups)
		rnd.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if diff := cmp.Diff(want, kept(c.policy.Apply(mixed, c.now))); diff != "" {
			t.Fatalf("seed %d, in another order: %s", seed, diff)
		}
		left := slices.DeleteFunc(mixed, func(b *Backup) bool { return !slices.Contains(want, name(b)) })
		if diff := cmp.Diff(want, kept(c.policy.Apply(left, c.now))); diff != "" {
			t.Fatalf("seed %d, once more: %s", seed, diff)
		}
	}
	if removed < n {
		t.Errorf("%d calendars: only %d backups were removed", n, removed)
	}
}

func name(b *Backup) string { return b.Time.Format(time.RFC3339) + " " + b.ID }

func kept(decisions []Decision) []string {
	names := []string{}
	for _, d := range decisions {
		if d.Keep {
			names = append(names, name(d.Backup))
		}
	}
	slices.Sort(names)
	return names
}

// assertSafe looks for what must be kept whatever the policy says.
func (c calendar) assertSafe(t testing.TB, seed int, kept []string) {
	t.Helper()
	var newest *Backup
	for _, b := range c.backups {
		switch {
		case !b.Good() || b.IsFuture(c.now):
			if !slices.Contains(kept, name(b)) {
				t.Fatalf("seed %d: %s is damaged or in the future, and removed", seed, name(b))
			}
		case newest == nil || name(b) > name(newest):
			newest = b
		}
	}
	if newest != nil && !slices.Contains(kept, name(newest)) {
		t.Fatalf("seed %d: the newest, %s, is removed", seed, name(newest))
	}
}

// model is the policy again, the slow way: all backups are put into buckets by arithmetic, buckets are sorted, and
// the first of them taken.
func (c calendar) model() []string {
	keep := map[string]bool{}
	var good []*Backup // newest first
	for _, b := range c.backups {
		if b.Err != nil || b.Time.Unix() > c.now.Add(time.Hour).Unix() {
			keep[name(b)] = true
		} else {
			good = append(good, b)
		}
	}
	slices.SortFunc(good, func(a, b *Backup) int { return strings.Compare(name(b), name(a)) })
	if len(good) > 0 {
		keep[name(good[0])] = true
		p := c.policy
		for i, rule := range []struct {
			count  int
			within Age
		}{{p.Last, p.Within}, {p.Hourly, p.WithinHourly}, {p.Daily, p.WithinDaily}, {p.Weekly, p.WithinWeekly}, {p.Monthly, p.WithinMonthly}, {p.Yearly, p.WithinYearly}} {
			if rule.count != 0 {
				c.modelCount(good, i, rule.count, keep)
			}
			if rule.within != (Age{}) {
				c.modelWithin(good, i, rule.within, keep)
			}
		}
		for _, b := range good {
			if p.IsEmpty() || p.Tags != nil && slices.Contains(b.Manifest.Backup.Tags, "keep") {
				keep[name(b)] = true
			}
		}
	}
	names := slices.AppendSeq([]string{}, maps.Keys(keep))
	slices.Sort(names)
	return names
}

func (c calendar) modelCount(good []*Backup, unit, count int, keep map[string]bool) {
	buckets := c.newest(good, unit)
	if count == Unlimited || len(buckets) < count {
		keep[name(good[len(good)-1])] = true
	}
	for i, b := range buckets {
		if count == Unlimited || i < count {
			keep[name(b)] = true
		}
	}
}

func (c calendar) modelWithin(good []*Backup, unit int, age Age, keep map[string]bool) {
	n := good[0].Time.In(c.policy.Zone)
	since := time.Date(n.Year()-age.Years, n.Month()-time.Month(age.Months), n.Day()-age.Days, n.Hour(), n.Minute(), n.Second(), 0, c.policy.Zone).
		Add(-time.Duration(age.Hours) * time.Hour)
	young := slices.DeleteFunc(slices.Clone(good), func(b *Backup) bool { return !b.Time.After(since) })
	for _, b := range c.newest(young, unit) {
		keep[name(b)] = true
	}
	if len(young) == len(good) {
		keep[name(good[len(good)-1])] = true
	}
}

// newest returns the newest backup of every bucket, the newest first.
func (c calendar) newest(good []*Backup, unit int) []*Backup {
	newest := map[string]*Backup{}
	for _, b := range slices.Backward(good) {
		newest[c.bucket(b, unit)] = b
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b *Backup) int { return strings.Compare(name(b), name(a)) })
}

// bucket is where a backup belongs: by itself, or to an hour, a day, a week, a month, a year of the zone.
func (c calendar) bucket(b *Backup, unit int) string {
	_, offset := b.Time.In(c.policy.Zone).Zone()
	local := b.Time.Unix() + int64(offset)
	days := floor(local, 24*60*60)
	switch unit {
	case 0:
		return b.ID
	case 1:
		return fmt.Sprint(floor(local, 60*60), offset)
	case 2:
		return fmt.Sprint(days)
	case 3:
		return fmt.Sprint(floor(days+3, 7)) // 1970 began on a Thursday
	}
	civil := time.Unix(days*24*60*60, 0).UTC()
	if unit == 4 {
		return fmt.Sprint(civil.Year(), civil.Month())
	}
	return fmt.Sprint(civil.Year())
}

func floor(a, b int64) int64 {
	if a < 0 {
		return (a - b + 1) / b
	}
	return a / b
}

// TestPolicyOfYears runs nightly backups with a retention over four years, and looks at what is left.
func TestPolicyOfYears(t *testing.T) {
	p := Policy{Daily: 7, Weekly: 4, Monthly: 12, Yearly: Unlimited, Zone: time.UTC}
	var left []*Backup
	for n := range 4 * 365 {
		now := time.Date(2025, 1, 1+n, 2, 0, 0, 0, time.UTC)
		left = append(left, goodBackup(now))
		decisions := p.Apply(left, now)
		left = nil
		for _, d := range decisions {
			if d.Keep {
				left = append(left, d.Backup)
			}
		}
	}
	var got []string
	for _, b := range left {
		got = append(got, b.Time.Format("06-01-02"))
	}
	want := strings.Fields(`25-01-01 25-12-31 26-12-31 27-12-31
		28-01-31 28-02-29 28-03-31 28-04-30 28-05-31 28-06-30 28-07-31 28-08-31 28-09-30 28-10-31 28-11-30
		28-12-10 28-12-17 28-12-24 28-12-25 28-12-26 28-12-27 28-12-28 28-12-29 28-12-30`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
