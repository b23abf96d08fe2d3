//go:build bench

package bench_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// A report is what a run of the bench leaves: report.txt for people and
// report.json for programs, in $PGBERTH_BENCH_OUT or bin/bench.
type report struct {
	Date     string            `json:"date"`
	Machine  map[string]string `json:"machine"`
	Versions map[string]string `json:"versions"`
	Settings []string          `json:"target_settings"`
	Rounds   int               `json:"rounds"`
	Contests []result          `json:"contests"`

	text strings.Builder
}

// A result is a contest that was held.
type result struct {
	Name     string     `json:"name"`
	Size     string     `json:"size"`
	Entrants []standing `json:"entrants"`
	Goals    []outcome  `json:"goals"`
}

type standing struct {
	Name   string    `json:"name"`
	Result string    `json:"result"` // what compare said
	Runs   []figures `json:"runs"`
}

type outcome struct {
	Goal   string  `json:"goal"`
	Ours   string  `json:"ours"`
	Best   string  `json:"best"` // of those it is held against
	Ratio  float64 `json:"ratio"`
	Wanted float64 `json:"wanted"`
}

func newReport(t *testing.T, f *field, rounds int) *report {
	r := &report{Date: time.Now().UTC().Format(time.DateOnly), Machine: machine(), Versions: f.versions(t), Settings: targetSettings, Rounds: rounds}
	r.printf("%s, %s cores, %s, Linux %s; load before: %s\n", r.Machine["cpu"], r.Machine["cores"], r.Machine["memory"], r.Machine["kernel"], lines("/proc/loadavg")[0])
	r.printf("source PostgreSQL %s on the host, by its unix socket; target PostgreSQL %s in a container, %s; %s; %s\n",
		r.Versions["source"], r.Versions["target"], strings.Join(targetSettings, ", "), r.Versions["pg_dump"], r.Versions["pgcopydb"])
	r.printf("medians of %d runs, in turn; the source is in memory, the target checkpointed before each\n", rounds)
	return r
}

func (r *report) printf(format string, args ...any) {
	fmt.Printf(format, args...)
	fmt.Fprintf(&r.text, format, args...)
}

func (r *report) add(c *contest) {
	res := result{Name: c.Name, Size: c.size}
	r.printf("\n%s, %s\n", c.Name, c.size)
	w := tabwriter.NewWriter(&printer{r}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "tool\tmedian\tfrom\tto\tCPU source\ttarget\ttool\tcores busy\tmemory\tresult")
	for _, e := range c.entrants {
		if len(e.runs) == 0 {
			continue
		}
		m := medianRun(e.runs)
		walls := make([]time.Duration, len(e.runs))
		for i, run := range e.runs {
			walls[i] = run.Wall
		}
		memory := ""
		if m.Memory > 0 {
			memory = fmt.Sprintf("%d MB", m.Memory/1e6)
		}
		target, busy := fmt.Sprintf("%.1f", m.CPU.Target.Seconds()), fmt.Sprintf("%.2f", m.CPU.all().Seconds()/m.Wall.Seconds())
		if m.CPU.Target == 0 { // it was restarted, and its account with it
			target, busy = "-", "-"
		}
		fmt.Fprintf(w, "%s\t%.2f s\t%.2f\t%.2f\t%.1f\t%s\t%.2f\t%s\t%s\t%s\n", e.name, m.Wall.Seconds(), slices.Min(walls).Seconds(), slices.Max(walls).Seconds(),
			m.CPU.Source.Seconds(), target, m.CPU.Tool.Seconds(), busy, memory, first(e.same))
		res.Entrants = append(res.Entrants, standing{e.name, e.same, e.runs})
	}
	w.Flush()
	for _, g := range c.goals {
		if o, ok := c.outcome(g); ok {
			verdict := "reached"
			if o.Ratio > o.Wanted {
				verdict = "NOT reached"
			}
			r.printf("%s, %s: %.2f (wanted %.2f: %s)%s\n", o.Ours, o.Goal, o.Ratio, o.Wanted, verdict, against(o))
			res.Goals = append(res.Goals, o)
		}
	}
	for _, e := range c.entrants {
		if e.events && len(e.runs) > 0 {
			r.chart(e)
		} else if len(e.runs) > 0 {
			m := medianRun(e.runs)
			r.printf("%-40.40s %s\n", e.name, spark(m.Cores, m.Wall))
		}
	}
	r.Contests = append(r.Contests, res)
}

func against(o outcome) string {
	if o.Best == o.Ours {
		return ""
	}
	return ", held against " + o.Best
}

func first(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// outcome holds a goal's medians against each other.
func (c *contest) outcome(g goal) (outcome, bool) {
	ours := c.find(g.ours)
	if ours == nil || len(ours.runs) == 0 {
		return outcome{}, false
	}
	var best *entrant
	for _, name := range g.theirs {
		e := c.find(name)
		if e != nil && len(e.runs) > 0 && (best == nil || medianRun(e.runs).Wall < medianRun(best.runs).Wall) {
			best = e
		}
	}
	if best == nil {
		return outcome{}, false
	}
	a, b := medianRun(ours.runs), medianRun(best.runs)
	ratio := a.Wall.Seconds() / b.Wall.Seconds()
	if g.of != nil {
		ratio = g.of(a, b)
	}
	return outcome{Goal: g.text, Ours: ours.name, Best: best.name, Ratio: ratio, Wanted: g.ratio}, true
}

const chartWidth = 80

// chart shows where the time of a run went: when each phase and each longer
// unit ran, and how many of the cores were busy.
func (r *report) chart(e *entrant) {
	m := medianRun(e.runs)
	r.printf("\nwhere the time of %s went, %.2f s from left to right\n", e.name, m.Wall.Seconds())
	r.printf("%-40.40s %s\n", "cores busy", spark(m.Cores, m.Wall))
	least := longEnough(m.Units, m.Wall)
	for _, s := range m.Units {
		if s.End == 0 || s.Name != "" && s.End-s.Start < least || s.Name == "" && s.End-s.Start < m.Wall/200 {
			continue
		}
		from, to := int(chartWidth*s.Start/m.Wall), int(chartWidth*s.End/m.Wall)
		label, mark := s.Phase, "="
		if s.Name != "" {
			label, mark = "  "+s.Name, "-"
			if s.Phase == "rows" {
				label = "  rows " + s.Name
			}
			if s.Phase == "analyze" {
				label = "  analyze " + s.Name
			}
		}
		r.printf("%-40.40s %s%s %.2f s\n", label, strings.Repeat(" ", from), strings.Repeat(mark, max(1, to-from)), (s.End - s.Start).Seconds())
	}
}

// longEnough is how long a unit must have taken to be shown: a fiftieth of the run, and no less
// than the twelve longest.
func longEnough(units []span, wall time.Duration) time.Duration {
	const shown = 12
	var lengths []time.Duration
	for _, s := range units {
		if s.Name != "" {
			lengths = append(lengths, s.End-s.Start)
		}
	}
	slices.Sort(lengths)
	if n := len(lengths); n > shown {
		return max(wall/50, lengths[n-shown-1]+1)
	}
	return wall / 50
}

// spark draws how many cores were busy, eighths of all of them.
func spark(cores []float64, wall time.Duration) string {
	marks := []rune(" ▁▂▃▄▅▆▇█")
	if len(cores) == 0 {
		return ""
	}
	var line strings.Builder
	for i := range chartWidth {
		at := min(len(cores)-1, int(float64(i)/chartWidth*wall.Seconds()/sampleEvery.Seconds()))
		line.WriteRune(marks[min(8, int(cores[at]/float64(numCPU())*8+0.5))])
	}
	return line.String()
}

// A printer writes to a report and to the screen.
type printer struct{ *report }

func (p *printer) Write(b []byte) (int, error) {
	p.printf("%s", b)
	return len(b), nil
}

func (r *report) write(t *testing.T) {
	dir := os.Getenv("PGBERTH_BENCH_OUT")
	if dir == "" {
		dir = "../bin/bench"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	figures, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"report.txt": []byte(r.text.String()), "report.json": figures} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
