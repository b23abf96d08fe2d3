package nightly

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/nightly/config"
)

// A Source is the server of a job's databases.
type Source struct {
	Endpoint *conninfo.Endpoint // of the database to ask for the others
	// Clients returns the programs that could dump one of its databases.
	Clients func(ctx context.Context, database *conninfo.Endpoint) ([]pgtools.Client, error)
	// Explain adds what has become of the server to an error that may come from that; nil adds nothing.
	Explain func(ctx context.Context, err error) error
	Close   func() error

	home *conninfo.Endpoint // what connect has found to answer
}

// explain is Explain.
func (s *Source) explain(ctx context.Context, err error) error {
	if s.Explain == nil {
		return err
	}
	return s.Explain(ctx, err)
}

// maintenance is the database that every server has to begin with, and that is meant to be empty.
const maintenance = "postgres"

// A database is what a server says of one.
type database struct {
	name       string
	isTemplate bool
	connects   bool // it lets sessions in
}

// connect opens a session on a server, in its maintenance database if its endpoint names none.
func (s *Source) connect(ctx context.Context) (*pgx.Conn, error) {
	names := []string{s.Endpoint.Config.Database}
	if names[0] == "" {
		names = []string{maintenance, "template1"}
	}
	var failures []error
	for _, name := range names {
		for _, host := range s.Endpoint.WithDatabase(name).Hosts() {
			conn, err := session.Open(ctx, host.Config, session.Options{ReadOnly: true})
			if err == nil {
				s.home = host
				return conn, nil
			}
			failures = append(failures, fmt.Errorf("connect to %s: %w", host.Name, err))
		}
		if !session.HasCode(failures[len(failures)-1], "3D000") { // no such database
			break
		}
	}
	return nil, errors.Join(failures...)
}

// databases returns all databases of a server.
func (s *Source) databases(ctx context.Context) ([]database, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer session.HangUp(ctx, conn)
	// The connection limit is -2 where DROP DATABASE was interrupted: what is left can only be dropped.
	rows, err := conn.Query(ctx, `SELECT datname, datistemplate, datallowconn AND datconnlimit <> -2 FROM pg_catalog.pg_database ORDER BY datname`)
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d database, err error) {
		return d, row.Scan(&d.name, &d.isTemplate, &d.connects)
	})
}

// A missingError is about what a job names and its server does not have.
type missingError struct{ text, remedy string }

func (e *missingError) Error() string  { return e.text }
func (e *missingError) Remedy() string { return e.remedy }

// putAside matches what a migration or a restore is filling, and what it has replaced. Neither is there to stay.
var putAside = regexp.MustCompile(`_pgberth_[0-9a-f]{8}$|_before_[0-9]{14}$`)

// choose returns the names of the databases that a job wants, and what it names that cannot be had. A pattern that matches
// nothing is as wrong as a name that is missing: both would else be noticed on the day of the restore.
func choose(job *config.Job, all []database) (names []string, problems []error) {
	excluded := func(name string) bool {
		return slices.ContainsFunc(job.Exclude, func(pattern string) bool { return matches(pattern, name) })
	}
	add := func(name string) {
		if !excluded(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	ordinary := func(d database) bool { return d.connects && !d.isTemplate && !putAside.MatchString(d.name) }
	for _, d := range all {
		if len(job.Databases) == 0 && ordinary(d) {
			add(d.name)
		}
	}
	for _, pattern := range job.Databases {
		matched := false
		for _, d := range all {
			switch {
			case !matches(pattern, d.name):
			case d.name == pattern && !d.connects:
				matched = true
				problems = append(problems, &missingError{fmt.Sprintf("database %s allows no connections", human.Name(d.name)),
					"ALTER DATABASE ... ALLOW_CONNECTIONS true, or take it out of databases"})
			case d.name == pattern || ordinary(d):
				matched = true
				add(d.name)
			}
		}
		if !matched {
			problems = append(problems, &missingError{fmt.Sprintf("the server has no database %s; %s", human.Name(pattern), nearby(all)), "mend databases in the configuration"})
		}
	}
	if len(names) == 0 && len(problems) == 0 {
		problems = append(problems, &missingError{"there is no database to back up; " + nearby(all), "mend databases and exclude in the configuration"})
	}
	slices.Sort(names)
	return names, problems
}

func nearby(all []database) string {
	var names []string
	for _, d := range all {
		if d.connects && !d.isTemplate {
			names = append(names, human.Name(d.name))
		}
	}
	return "its databases are " + strings.Join(names, ", ")
}

// matches reports whether a name is what a pattern says; * is any text and ? any letter.
func matches(pattern, name string) bool {
	re := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?s)^" + re + "$").MatchString(name)
}
