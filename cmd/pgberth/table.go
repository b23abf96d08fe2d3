package main

import "strings"

// A table is text in columns, two blanks apart. In align, each column has a
// letter: l for left, r for right.
type table struct {
	align string
	rows  [][]string
}

// add adds a line. Its cells stay on it, whatever they name.
func (t *table) add(cells ...string) { t.rows = append(t.rows, printableAll(cells)) }

func (t *table) String() string {
	widths := make([]int, len(t.align))
	for _, cells := range t.rows {
		for col, cell := range cells {
			widths[col] = max(widths[col], textWidth(cell))
		}
	}
	var b strings.Builder
	for _, cells := range t.rows {
		line := make([]string, len(cells))
		for col, cell := range cells {
			if t.align[col] == 'r' {
				line[col] = strings.Repeat(" ", widths[col]-textWidth(cell)) + cell
			} else {
				line[col] = pad(cell, widths[col])
			}
		}
		b.WriteString(strings.TrimRight(strings.Join(line, "  "), " ") + "\n")
	}
	return b.String()
}
