package drill

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
)

// A topic is a part of what definitions say, and its check.
type topic struct {
	name, title string
	// is tells whether a difference belongs here; the first topic that says so gets it.
	is func(definitions.Difference) bool
	// counted are the objects it is about.
	counted func(*definitions.Object) bool
	unit    [2]string
}

func kindHas(word string) func(*definitions.Object) bool {
	return func(o *definitions.Object) bool { return strings.Contains(o.Kind, word) }
}

func kindIs(kind string) func(*definitions.Object) bool {
	return func(o *definitions.Object) bool { return o.Kind == kind }
}

func hasFact(aspect string) func(*definitions.Object) bool {
	return func(o *definitions.Object) bool { _, has := o.Facts[aspect]; return has }
}

// localeAspects are those of a database that nothing can change later.
var localeAspects = []string{"encoding", "locale provider", "collate", "ctype", "provider's locale", "icu rules"}

var topics = []topic{
	{"extensions", "Extensions and their versions",
		func(d definitions.Difference) bool { return d.Kind == "extension" }, kindIs("extension"), [2]string{"extension", "extensions"}},
	{"indexes", "Indexes are there and valid",
		func(d definitions.Difference) bool {
			return d.Kind == "index" && d.Aspect != "owner" && d.Aspect != "comment"
		}, kindIs("index"), [2]string{"index", "indexes"}},
	{"constraints", "Constraints are there and validated",
		func(d definitions.Difference) bool {
			return strings.HasSuffix(d.Kind, "constraint") && d.Aspect != "comment"
		}, kindHas("constraint"), [2]string{"constraint", "constraints"}},
	{"locale", "Encoding, locale and collation",
		func(d definitions.Difference) bool {
			return d.Kind == "database" && slices.Contains(localeAspects, d.Aspect) || d.Kind == "collation" && d.Aspect != "owner"
		}, func(o *definitions.Object) bool { return o.Kind == "database" || o.Kind == "collation" }, [2]string{"locale", "locales"}},
	{"large object owners", "", func(d definitions.Difference) bool {
		return d.Kind == "large object" && d.Aspect == definitions.Presence
	}, nil, [2]string{}},
	{"objects", "All objects are there, and no others",
		func(d definitions.Difference) bool { return d.Aspect == definitions.Presence }, func(*definitions.Object) bool { return true }, [2]string{"object", "objects"}},
	{"owners", "Owners",
		func(d definitions.Difference) bool { return d.Aspect == "owner" }, hasFact("owner"), [2]string{"owned object", "owned objects"}},
	{"privileges", "Privileges",
		func(d definitions.Difference) bool { return d.Aspect == "privileges" }, hasFact("privileges"), [2]string{"object with grants", "objects with grants"}},
	{"definitions", "Everything else that objects are made of",
		func(definitions.Difference) bool { return true }, func(*definitions.Object) bool { return true }, [2]string{"object", "objects"}},
}

// shown is the order in which topics stand in a report.
var shown = []string{"objects", "extensions", "indexes", "constraints", "owners", "privileges", "locale", "definitions"}

// checkDefinitions holds the catalogs of the restored database against those of the source, in the dump's snapshot.
func (d *drill) checkDefinitions(ctx context.Context, conn *pgx.Conn) error {
	was := d.source.catalog
	if was == nil {
		for _, name := range shown {
			if err := d.timed(name, topicNamed(name).title, func(c *Check) error {
				c.skip("the backup does not record what the source's catalogs said")
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}
	found := map[string][]definitions.Difference{}
	var is []*definitions.Object
	start := time.Now()
	if err := inSnapshot(ctx, conn, func() (err error) {
		is, err = definitions.Read(ctx, conn)
		return err
	}); err != nil {
		return err
	}
	elapsed := time.Since(start)
	expected := comparable(was.Objects)
	invalid := map[string]bool{}
	for _, o := range expected {
		invalid[o.Name] = invalid[o.Name] || o.Kind == "index" && o.Facts["valid"] == "f"
	}
	for _, diff := range definitions.Diff(expected, comparable(is)) {
		i := slices.IndexFunc(topics, func(t topic) bool { return t.is(diff) })
		found[topics[i].name] = append(found[topics[i].name], diff)
	}
	for i, name := range shown {
		t := topicNamed(name)
		c := Check{Name: t.name, Title: t.title, Status: OK}
		n := 0
		for _, o := range expected {
			if t.counted(o) {
				n++
			}
		}
		c.Expected = human.Count(n, t.unit[0], t.unit[1])
		c.Found = "the same"
		for _, diff := range found[name] {
			if diff.Kind == "index" && diff.Is == definitions.Missing && diff.Aspect == definitions.Presence && invalid[diff.Name] {
				c.warn("index " + diff.Name + " is not there: it was invalid at the source, and pg_dump leaves such an index out")
				continue
			}
			t.report(&c, diff)
		}
		switch c.Status {
		case Bad:
			c.Found = human.Count(len(found[name]), "difference", "differences")
		case Warned:
			c.Found = human.Count(len(found[name]), "difference that is", "differences that are") + " no fault of the backup"
		}
		if i == 0 {
			c.Elapsed = elapsed // one reading serves all
		}
		d.report.add(c)
	}
	return nil
}

func topicNamed(name string) *topic {
	i := slices.IndexFunc(topics, func(t topic) bool { return t.name == name })
	return &topics[i]
}

// comparable leaves out what a drill does not restore, or changes.
func comparable(objects []*definitions.Object) []*definitions.Object {
	var list []*definitions.Object
	for _, o := range objects {
		switch {
		case strings.HasPrefix(o.Kind, "publication"), strings.HasPrefix(o.Kind, "subscription"):
			continue // not restored
		case o.Kind == "event trigger":
			o = without(o, "state") // disabled
		case o.Facts["tablespace"] != "":
			o = without(o, "tablespace") // the server has none but its own
		}
		list = append(list, o)
	}
	return list
}

func without(o *definitions.Object, aspect string) *definitions.Object {
	copied := *o
	copied.Facts = maps.Clone(o.Facts)
	delete(copied.Facts, aspect)
	return &copied
}

// report notes a difference.
func (t *topic) report(c *Check, d definitions.Difference) {
	object := d.Kind + " " + d.Name
	switch {
	case d.Aspect == definitions.Presence && d.Is == definitions.Missing:
		c.fail("", object+" is missing")
	case d.Aspect == definitions.Presence:
		c.fail("", object+" was not in the source")
	case d.Kind == "extension" && d.Aspect == "version" && newer(d.Is, d.Was):
		// No statement of a dump names the version: what comes back is the image's.
		c.warn(fmt.Sprintf("%s comes back as version %s, which this server makes; the source has %s", object, d.Is, d.Was))
	case d.Kind == "extension" && d.Aspect == "version":
		c.fail("", fmt.Sprintf("%s: version is %s, was %s; try an image that has it, with --image", object, d.Is, d.Was))
	case d.Aspect == "validated" && d.Is == "f":
		c.fail("", object+" is not validated")
	case d.Aspect == "valid" && d.Is == "f":
		c.fail("", object+" is not valid")
	case d.Aspect == "valid" && d.Kind == "index": // that of a partitioned table, say, from which a partition without it was taken away
		c.warn(object + " is valid, and was not at the source")
	default:
		c.fail("", fmt.Sprintf("%s: %s is %s, was %s", object, d.Aspect, shorten(d.Is), shorten(d.Was)))
	}
}

// newer reports whether a version, of numbers with dots, comes after another.
func newer(a, b string) bool {
	numbers := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	return slices.CompareFunc(numbers(a), numbers(b), func(x, y string) int {
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	}) > 0
}

// shorten keeps a value in a line.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 160
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + " ..."
	}
	return s
}

// checkCollations compares the versions of the libraries that sort text. Where they differ production
// sorts in another order than this server; what was restored here is sound in itself.
func (d *drill) checkCollations(ctx context.Context, conn *pgx.Conn) error {
	return d.timed("collation versions", "Versions of the libraries that sort text", func(c *Check) error {
		if d.source.catalog == nil {
			c.skip("the backup does not record them")
			return nil
		}
		was := d.source.catalog.Collations
		is, err := catalog.CollationVersions(ctx, conn)
		if err != nil {
			return err
		}
		if len(was) == 0 {
			c.skip("those of the source have none")
			return nil
		}
		c.Expected, c.Found = human.Count(len(was), "version", "versions"), "the same"
		for _, name := range slices.Sorted(maps.Keys(was)) {
			if is[name] == was[name] {
				continue
			}
			object := "collation " + name
			if name == "" {
				object = "the database's collation"
			}
			c.warn(fmt.Sprintf("%s: version is %s here, was %s: text may be sorted in another order", object, cmp.Or(is[name], "unknown"), was[name]))
			c.Found = "others"
		}
		return nil
	})
}

// checkRoles compares the roles with what the manifest says of them.
func (d *drill) checkRoles(ctx context.Context, conn *pgx.Conn) error {
	return d.timed("roles", rolesTitle, func(c *Check) error {
		m := d.source.manifest()
		if m == nil {
			c.skip("the backup has no manifest; roles were made by name alone")
			return nil
		}
		have, err := catalog.Roles(ctx, conn, session.Version(conn))
		if err != nil {
			return err
		}
		c.Expected = human.Count(len(m.Roles), "role", "roles")
		c.Found = "the same"
		for _, want := range m.Roles {
			problem := compareRole(want, have[want.Name], want.Name == d.source.serverSpec().Superuser)
			if problem != "" {
				c.fail("", "role "+want.Name+" "+problem)
			}
		}
		if c.Status == Bad {
			c.Found = human.Count(c.problems(), "difference", "differences")
		}
		return nil
	})
}

// compareRole says how a role is not what it was. The one that made the server existed before the restore, which leaves
// such roles alone.
func compareRole(want archive.ManifestRole, role *catalog.Role, made bool) string {
	if role == nil {
		return "is missing"
	}
	if made {
		return ""
	}
	is := role.CreateSQL(false)
	for _, parent := range role.Parents {
		is = append(is, role.GrantSQL(parent))
	}
	for _, sql := range want.SQL {
		if !slices.Contains(is, sql) {
			return "is not as it was: " + shorten(sql)
		}
	}
	for _, sql := range is {
		if !slices.Contains(want.SQL, sql) {
			return "is not as it was; now: " + shorten(sql)
		}
	}
	return ""
}
