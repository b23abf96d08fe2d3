// Package preflight holds what is found wrong before anything is touched.
package preflight

import (
	"fmt"
	"strings"
)

// Problem is one thing that must be mended before a run, or, as a warning,
// that the user should know.
type Problem struct {
	Object string `json:"object"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

func (p Problem) String() string {
	if p.Remedy == "" {
		return fmt.Sprintf("%s: %s", p.Object, p.Text)
	}
	return fmt.Sprintf("%s: %s; %s", p.Object, p.Text, p.Remedy)
}

// Findings are the problems and warnings of a preflight.
type Findings struct {
	Problems []Problem
	Warnings []Problem
}

// Problem adds a problem.
func (f *Findings) Problem(object, text, remedy string) {
	f.Problems = append(f.Problems, Problem{object, text, remedy})
}

// Warning adds a warning.
func (f *Findings) Warning(object, text, remedy string) {
	f.Warnings = append(f.Warnings, Problem{object, text, remedy})
}

// Err returns an *Error if there are problems.
func (f *Findings) Err() error {
	if len(f.Problems) == 0 {
		return nil
	}
	return &Error{Problems: f.Problems}
}

// Error lists every problem found before anything was touched.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "preflight: " + strings.Join(lines, "\npreflight: ")
}

// Listing names up to a handful of objects in one line: "a, b, c and 12 more".
func Listing(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
