package definitions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/session"
)

// An Object is what a database says of one of its objects.
type Object struct {
	Kind   string            `json:"kind"` // table, table constraint, index
	Name   string            `json:"name"` // quoted, qualified: public.games
	Parent string            `json:"parent,omitempty"`
	Facts  map[string]string `json:"facts,omitempty"` // by aspect; one that is null is left out
}

// Key tells objects apart.
func (o *Object) Key() string { return o.Kind + "\x00" + o.Name }

// Read returns all objects of the database that a transaction is in, in the order of
// Topics. What may hold a password is left out. Names come in UTF-8, which the
// session, one of package session, speaks from now on.
func Read(ctx context.Context, conn *pgx.Conn) ([]*Object, error) {
	setup := "SET LOCAL jit = off" // compiling a catalog query takes longer than running it
	if conn.PgConn().ParameterStatus("server_encoding") != "SQL_ASCII" {
		setup += "; SET client_encoding = 'UTF8'" // text of SQL_ASCII is bytes, which nothing may convert
	}
	if _, err := conn.PgConn().Exec(ctx, setup).ReadAll(); err != nil {
		return nil, fmt.Errorf("read the definitions: %w", err)
	}
	dialect := Dialect{Major: session.Version(conn) / 10000}
	dialect.Lowest = dialect.Major
	var name string
	if err := conn.QueryRow(ctx, `SELECT pg_catalog.current_database()`).Scan(&name); err != nil {
		return nil, fmt.Errorf("read the definitions: %w", err)
	}
	dialect.Database = catalog.Literal(name)
	r := reader{byKey: map[string]*Object{}}
	for _, topic := range Topics {
		statements, err := dialect.Statements(topic.File)
		if err != nil {
			return nil, err
		}
		for _, sql := range statements {
			if sql == "" {
				continue
			}
			if err := r.read(ctx, conn, sql, topic.Facts); err != nil {
				return nil, fmt.Errorf("read the definitions of %s: %w", topic.File, err)
			}
		}
	}
	return r.objects, nil
}

type reader struct {
	objects []*Object
	byKey   map[string]*Object
}

func (r *reader) read(ctx context.Context, conn *pgx.Conn, sql string, facts bool) error {
	results := conn.PgConn().Exec(ctx, Ordered(sql))
	for results.NextResult() {
		rows := results.ResultReader()
		fields := rows.FieldDescriptions()
		for rows.NextRow() {
			o := &Object{}
			for i, value := range rows.Values() {
				if value != nil {
					o.set(fields[i].Name, strings.ToValidUTF8(string(value), "\uFFFD"))
				}
			}
			r.add(o, facts)
		}
		if _, err := rows.Close(); err != nil {
			return err
		}
	}
	return results.Close()
}

// set takes a column of a query. A null value is not set.
func (o *Object) set(column, value string) {
	switch column {
	case "kind":
		o.Kind = value
	case "object":
		o.Name = value
	case "parent":
		o.Parent = value
	default:
		if strings.HasPrefix(column, Hidden) {
			return
		}
		if o.Facts == nil {
			o.Facts = map[string]string{}
		}
		o.Facts[column] = value
	}
}

// add keeps an object, or its facts with the object that an earlier topic found.
func (r *reader) add(o *Object, facts bool) {
	known := r.byKey[o.Key()]
	if !facts || known == nil {
		r.objects, r.byKey[o.Key()] = append(r.objects, o), o
		return
	}
	for aspect, value := range o.Facts {
		if known.Facts == nil {
			known.Facts = map[string]string{}
		}
		known.Facts[aspect] = value
	}
}

// A Difference is an aspect in which an object is not what it was.
type Difference struct {
	Kind, Name string
	Aspect     string // Presence if one side lacks the object
	Was, Is    string
}

// Presence is the aspect of an object that one side lacks; Missing stands there,
// and for a fact that is null.
const (
	Presence = "presence"
	Present  = "present"
	Missing  = "missing"
	Null     = "(none)"
)

// Diff returns how objects differ from what they were, on a server of the same
// major version. What hangs on an object that is missing is not listed with it.
func Diff(was, is []*Object) []Difference {
	have := map[string]*Object{}
	for _, o := range is {
		have[o.Key()] = o
	}
	d := differ{gone: map[string]bool{}}
	had := map[string]bool{}
	for _, o := range was {
		had[o.Key()] = true
		d.compare(o, have[o.Key()])
	}
	for _, o := range is {
		if !had[o.Key()] {
			d.compare(nil, o)
		}
	}
	return d.differences
}

type differ struct {
	gone        map[string]bool
	differences []Difference
}

func (d *differ) compare(was, is *Object) {
	some := was
	if some == nil {
		some = is
	}
	hangs := d.gone[some.Parent] && some.Parent != "" || d.gone[some.Key()]
	if was == nil || is == nil {
		d.gone[some.Name] = true
		if !hangs && !onlyFacts(some) {
			diff := Difference{Kind: some.Kind, Name: some.Name, Aspect: Presence, Was: Present, Is: Missing}
			if was == nil {
				diff.Was, diff.Is = diff.Is, diff.Was
			}
			d.differences = append(d.differences, diff)
			return
		}
		if hangs {
			return
		}
	}
	for _, aspect := range aspects(was, is) {
		a, b := fact(was, aspect), fact(is, aspect)
		if a != b && Canonical(a) != Canonical(b) {
			d.differences = append(d.differences, Difference{Kind: some.Kind, Name: some.Name, Aspect: aspect, Was: a, Is: b})
			if some.Kind == "extension" {
				d.gone[some.Name] = true // another version has other members
			}
		}
	}
}

// onlyFacts reports whether an object is known only by what a topic of facts
// says: something of a system catalog, or of an extension, that was granted.
func onlyFacts(o *Object) bool {
	if o.Parent != "" || len(o.Facts) == 0 {
		return false
	}
	for aspect := range o.Facts {
		if !slices.Contains([]string{"privileges", "comment", "security label", "depends on extensions"}, aspect) {
			return false
		}
	}
	return true
}

func fact(o *Object, aspect string) string {
	if o == nil {
		return Null
	}
	value, found := o.Facts[aspect]
	if !found {
		return Null
	}
	return value
}

// aspects are those of either object, sorted.
func aspects(objects ...*Object) []string {
	var list []string
	for _, o := range objects {
		if o == nil {
			continue
		}
		for aspect := range o.Facts {
			list = append(list, aspect)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
