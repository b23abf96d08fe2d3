package drill

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

//go:embed pages
var pages embed.FS

// page is a report with what its page shows besides.
type page struct {
	*Report
	Headline, Sentence, Durability, TrendTitle string
	Total                                      time.Duration
	Bars                                       []bar
	Trends                                     []trend
}

// bar is a phase in the picture of where the time went, which is 1000 wide.
type bar struct {
	Phase
	X, Width string
	Color    string
}

// trend is the line of a number over the last drills, in a picture of 260 by 96.
type trend struct {
	Name, Last string
	Line, Area string
	Dots       []dot
}

type dot struct {
	X, Y, R, Color, Title string
}

// HTML is the report as a page that needs nothing else. history are earlier reports, of any database.
func (r *Report) HTML(history []*Stored) ([]byte, error) {
	p := page{Report: r, Headline: headline(r.Verdict), Sentence: r.sentence(), Durability: r.durability()}
	p.bars()
	p.trends(history)
	return render("report.html", p)
}

func render(name string, data any) ([]byte, error) {
	t, err := template.New(name).Funcs(functions(time.Now)).ParseFS(pages, "pages/"+name)
	if err != nil {
		return nil, fmt.Errorf("read the page's template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("draw the page: %w", err)
	}
	return b.Bytes(), nil
}

func headline(v Verdict) string {
	switch v {
	case Passed:
		return "Passed"
	case Rejected:
		return "Rejected"
	}
	return "Not run"
}

// sentence is the verdict in words.
func (r *Report) sentence() string {
	switch r.Verdict {
	case Passed:
		what := human.Count(r.Backup.Rows, "row", "rows") + " in " + human.Count(r.Backup.Tables, "table", "tables")
		if r.Backup.LargeObjects > 0 {
			what += " and " + human.Count(r.Backup.LargeObjects, "large object", "large objects")
		}
		if r.Backup.Manifest == "" {
			return fmt.Sprintf("The backup of %s was restored without an error. It has no manifest to hold its contents against.", r.Backup.Database)
		}
		return fmt.Sprintf("The backup of %s came back whole: %s, as in the snapshot of %s.", r.Backup.Database, what, date(r.Backup.Snapshot))
	case Rejected:
		return "This backup is not what it must be: " + r.Reason + "."
	}
	return "The drill could not be run, and says nothing about the backup: " + r.Reason
}

// durability says what the measured time stands on.
func (r *Report) durability() string {
	s := r.Server.Settings
	if len(s) == 0 {
		return ""
	}
	text := "It was measured as a real recovery would run: fsync and full_page_writes on."
	if s["fsync"] != "on" || s["full_page_writes"] != "on" {
		text = fmt.Sprintf("It was measured with fsync %s and full_page_writes %s: a real recovery takes longer.", s["fsync"], s["full_page_writes"])
	}
	if r.Server.Storage == "tmpfs" {
		text += " The data was small enough to be kept in memory."
	}
	return text
}

func (p *page) bars() {
	for _, phase := range p.Phases {
		p.Total += phase.Elapsed
	}
	if p.Total == 0 {
		return
	}
	x := 0.0
	for _, phase := range p.Phases {
		width := 1000 * float64(phase.Elapsed) / float64(p.Total)
		color := "#4a7fa5"
		if phase.Name == PhaseChecks {
			color = "#9fb8c9"
		}
		p.Bars = append(p.Bars, bar{Phase: phase, X: fixed(min(x, 997)), Width: fixed(max(width, 3)), Color: color})
		x += width
	}
}

// most is how many drills a trend shows.
const most = 24

func (p *page) trends(history []*Stored) {
	var list []*Report
	for _, s := range history {
		if s.Backup.Database == p.Backup.Database && s.Started.Before(p.Started) && s.Verdict != NotRun {
			list = append(list, s.Report)
		}
	}
	if p.Verdict != NotRun {
		list = append(list, p.Report)
	}
	list = list[max(0, len(list)-most):]
	p.TrendTitle = "The first drill of this database"
	if len(list) < 2 {
		return
	}
	p.TrendTitle = fmt.Sprintf("The last %d drills of %s", len(list), p.Backup.Database)
	p.Trends = []trend{
		newTrend("Recovery time", list, func(r *Report) float64 { return r.RTO.Measured.Seconds() }, func(r *Report) string { return measured(r.RTO) }),
		newTrend("Size of the backup", list, func(r *Report) float64 { return float64(r.Backup.Stored) }, func(r *Report) string { return human.Bytes(r.Backup.Stored) }),
		newTrend("Rows", list, func(r *Report) float64 { return float64(r.Backup.Rows) }, func(r *Report) string { return human.Thousands(r.Backup.Rows) }),
	}
}

// newTrend draws a line from zero up, so that a small change looks small.
func newTrend(name string, list []*Report, value func(*Report) float64, text func(*Report) string) trend {
	t := trend{Name: name, Last: text(list[len(list)-1])}
	top := 0.0
	for _, r := range list {
		top = max(top, value(r))
	}
	var line strings.Builder
	const left, right, bottom, height = 5.0, 255.0, 90.0, 80.0
	x := func(i int) float64 { return left + (right-left)*float64(i)/float64(len(list)-1) }
	for i, r := range list {
		y := bottom
		if top > 0 {
			y -= height * value(r) / top
		}
		fmt.Fprintf(&line, "%s%s %s", map[bool]string{true: "M", false: " L"}[i == 0], fixed(x(i)), fixed(y))
		d := dot{X: fixed(x(i)), Y: fixed(y), R: "2.5", Color: "#4a7fa5", Title: date(r.Started) + ": " + text(r)}
		if r.Verdict == Rejected {
			d.Color = "#b0281f"
		}
		if i == len(list)-1 {
			d.R = "4"
		}
		t.Dots = append(t.Dots, d)
	}
	t.Line = line.String()
	t.Area = t.Line + " L" + fixed(right) + " " + fixed(bottom) + " L" + fixed(left) + " " + fixed(bottom) + " Z"
	return t
}

func fixed(f float64) string { return fmt.Sprintf("%.1f", f) }

func date(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

func measured(o Objective) string {
	if o.Measured == 0 {
		return "–"
	}
	return human.Duration(o.Measured)
}

func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"css": func() (template.CSS, error) {
			text, err := pages.ReadFile("pages/style.css")
			return template.CSS(text), err
		},
		"class":     func(v Verdict) string { return strings.ReplaceAll(string(v), " ", "-") },
		"date":      date,
		"ago":       func(t time.Time) string { return human.Duration(now().Sub(t)) + " ago" },
		"duration":  human.Duration,
		"bytes":     human.Bytes,
		"thousands": human.Thousands[int64],
		"measured":  measured,
		"target": func(o Objective) string {
			switch {
			case o.Target == 0:
				return "no target given"
			case o.Missed():
				return "missed the target of " + human.Duration(o.Target)
			}
			return "within the target of " + human.Duration(o.Target)
		},
		"icon": icon,
		"mark": mark,
	}
}

// icon is a drawn sign of a verdict.
func icon(v Verdict) template.HTML {
	sign := `<path d="M12 7v6" stroke-linecap="round"/><path d="M12 16.5v.2" stroke-linecap="round"/>`
	switch v {
	case Passed:
		sign = `<path d="M7.5 12.3l3.1 3.1 6-6.4" stroke-linecap="round" stroke-linejoin="round"/>`
	case Rejected:
		sign = `<path d="M8.5 8.5l7 7M15.5 8.5l-7 7" stroke-linecap="round"/>`
	}
	return template.HTML(`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" aria-hidden="true"><circle cx="12" cy="12" r="10.5"/>` + sign + `</svg>`)
}

// mark is a drawn sign of a check's outcome.
func mark(s Status) template.HTML {
	color, sign := "#8b939b", `<path d="M8 12h8" stroke-linecap="round"/>`
	switch s {
	case OK:
		color, sign = "#1b7a4a", `<path d="M7.5 12.3l3.1 3.1 6-6.4" stroke-linecap="round" stroke-linejoin="round"/>`
	case Bad:
		color, sign = "#b0281f", `<path d="M8.5 8.5l7 7M15.5 8.5l-7 7" stroke-linecap="round"/>`
	case Warned:
		color, sign = "#8a5a00", `<path d="M12 7v6M12 16.5v.2" stroke-linecap="round"/>`
	}
	return template.HTML(`<svg class="mark" viewBox="0 0 24 24" fill="none" stroke="` + color + `" stroke-width="2" role="img" aria-label="` + string(s) + `"><circle cx="12" cy="12" r="10.5" stroke-opacity=".35"/>` + sign + `</svg>`)
}
