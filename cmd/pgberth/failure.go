package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/migrate"
)

// A failure is an error as the user sees it.
type failure struct {
	Code     int               `json:"code"`
	Message  string            `json:"message"`
	Remedies []string          `json:"remedies,omitempty"`
	Problems []migrate.Problem `json:"problems,omitempty"`

	// Where an archive is damaged.
	File   string `json:"file,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
}

func describeFailure(ctx context.Context, err error) failure {
	f := failure{Code: exitCode(ctx, err), Message: err.Error()}
	var (
		misuse    *usageError
		preflight *migrate.PreflightError
	)
	if f.Code == exitInterrupted {
		f.Message = "interrupted"
		return f
	}
	if errors.As(err, &preflight) {
		f.Problems = preflight.Problems
		f.Message = "nothing was touched: " + count(len(f.Problems), "problem") + " to mend first"
	}
	var check *checkError
	if errors.As(err, &check) {
		f.Problems = check.problems
	}
	if errors.As(err, &misuse) && misuse.help != "" {
		f.Remedies = []string{misuse.help}
	}
	var remedied interface{ Remedy() string }
	if errors.As(err, &remedied) {
		f.Remedies = append(f.Remedies, remedied.Remedy())
	}
	var corrupt *archive.CorruptError
	if errors.As(err, &corrupt) {
		f.File, f.Offset = corrupt.File, &corrupt.Offset
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && remedies[server.Code] != "" {
		f.Remedies = append(f.Remedies, remedies[server.Code])
	}
	return f
}

// remedies are what helps against what servers say to those who connect, by
// SQLSTATE. Most others name their remedy where they arise.
var remedies = map[string]string{
	"28000": "name a role that may log in, as in postgres://postgres@/DBNAME; root is taken for the role's own system user where the server asks for that",
	"28P01": "PGPASSWORD, ~/.pgpass, or a password in the endpoint",
	"3D000": "psql -l lists the server's databases",
	"53300": "fewer --jobs, or raise max_connections",
}

// print writes the failure as text. Errors in writing to standard error leave
// nowhere to complain.
func (f failure) print(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "pgberth: %s\n", f.Message)
	for _, p := range f.Problems {
		if p.Object != "" {
			fmt.Fprintf(&b, "  %s: %s\n", p.Object, p.Text)
		} else {
			fmt.Fprintf(&b, "  %s\n", p.Text)
		}
		if p.Remedy != "" {
			fmt.Fprintf(&b, "    try: %s\n", p.Remedy)
		}
	}
	for _, remedy := range f.Remedies {
		fmt.Fprintf(&b, "  try: %s\n", remedy)
	}
	_, _ = io.WriteString(w, printableText(b.String()))
}

// printJSON writes the failure as the last line of standard output. The exit
// status says the same should that fail.
func (f failure) printJSON(w io.Writer) {
	_ = writeJSON(w, "error", f)
}
