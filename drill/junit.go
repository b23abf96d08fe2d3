package drill

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/atomicfile"
)

// JUnit returns drills as JUnit XML, a suite for each and a test case for each check.
func JUnit(reports []*Report) ([]byte, error) {
	var all junitSuites
	for _, r := range reports {
		s := junitSuite{Name: "pgberth drill " + r.Backup.Name, Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"), Time: seconds(r.Elapsed), Host: r.Host}
		if r.Verdict == NotRun {
			s.Cases = append(s.Cases, junitCase{Class: "pgberth.drill", Name: "run", Time: seconds(r.Elapsed),
				Error: &junitProblem{Message: clean(r.Reason), Type: "infrastructure"}})
			s.Errors++
		}
		for _, c := range r.Checks {
			t := junitCase{Class: "pgberth.drill." + clean(r.Backup.Database), Name: clean(c.Name), Time: seconds(c.Elapsed)}
			switch c.Status {
			case Bad:
				t.Failure = &junitProblem{Message: clean(fmt.Sprintf("expected %s, found %s", c.Expected, c.Found)), Type: "check", Text: clean(strings.Join(c.Problems, "\n"))}
				s.Failures++
			case Skipped:
				t.Skipped = &junitProblem{Message: clean(c.Found)}
				s.Skipped++
			case Warned:
				t.Output = clean(strings.Join(c.Problems, "\n"))
			}
			s.Cases = append(s.Cases, t)
		}
		s.Tests = len(s.Cases)
		all.Suites = append(all.Suites, s)
	}
	data, err := xml.MarshalIndent(all, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode JUnit XML: %w", err)
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

// WriteJUnit writes drills as JUnit XML to a file.
func WriteJUnit(path string, reports []*Report) error {
	data, err := JUnit(reports)
	if err != nil {
		return err
	}
	return atomicfile.WriteOutput(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Host      string      `xml:"hostname,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Skipped *junitProblem `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr,omitempty"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// clean drops what XML cannot hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
