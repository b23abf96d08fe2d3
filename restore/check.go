package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/preflight"
)

// Needs is what an archive wants of a target, for Check.
type Needs struct {
	TOC     *archive.TOC
	Archive archive.RestoreOptions
	// NewRoles are created before they are needed. RolesUnknown says that
	// there could be none, since how roles were made is not known.
	NewRoles     []Role
	RolesUnknown bool
	NoRoles      bool // none are created because that was asked for
	// Versions are the source's extension versions, if known.
	Versions map[string]string
	// Sessions is how many connections the run opens at once.
	Sessions int

	// FastLoad is what is wanted of the server's settings, Restartable that it may be
	// restarted.
	FastLoad    FastLoad
	Restartable bool

	Replace, Disconnect, InPlace bool
	// Partial says that the archive's objects are expected to be there.
	Partial bool
}

// Survey is what Check has to know of a target, whatever the archive.
type Survey struct {
	Existing *Existing // the database that has the final name already, if there is one
	Roles    map[string]bool

	standby     bool
	connections int               // that are free
	extensions  map[string]string // that are available, and their versions
	tablespaces []string
	mine        []string // roles that this one is a member of
}

// Survey looks at the target without touching it.
func (t *Target) Survey(ctx context.Context) (*Survey, error) {
	s := &Survey{Roles: map[string]bool{}, extensions: map[string]string{}}
	var err error
	if s.Existing, err = t.Inspect(ctx); err != nil {
		return nil, err
	}
	var batch pgx.Batch // for a query each, the round trips would take longer than the queries
	batch.Queue(`
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('max_connections')::int
  - CASE WHEN $1 THEN 0 ELSE pg_catalog.current_setting('superuser_reserved_connections')::int END
  - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')`, t.Superuser).QueryRow(func(row pgx.Row) error {
		return row.Scan(&s.standby, &s.connections)
	})
	batch.Queue(`SELECT spcname::text FROM pg_catalog.pg_tablespace`).Query(func(rows pgx.Rows) (err error) {
		s.tablespaces, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	var name, version string
	batch.Queue(`SELECT name::text, COALESCE(default_version, '') FROM pg_catalog.pg_available_extensions`).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&name, &version}, func() error {
			s.extensions[name] = version
			return nil
		})
		return err
	})
	var member bool
	batch.Queue(`SELECT rolname::text, pg_catalog.pg_has_role(oid, 'MEMBER') FROM pg_catalog.pg_roles`).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&name, &member}, func() error {
			s.Roles[name] = true
			if member {
				s.mine = append(s.mine, name)
			}
			return nil
		})
		return err
	})
	if err := t.admin.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("look at the target: %w", err)
	}
	return s, nil
}

// Check finds what would make a restore fail, without touching the target.
func (t *Target) Check(ctx context.Context, survey *Survey, needs Needs) (preflight.Findings, error) {
	c := checker{Target: t, survey: survey, needs: needs, plan: newPlan(needs.TOC, needs.Archive)}
	c.privileges()
	if c.name() {
		c.existing(survey.Existing)
	}
	c.writable()
	c.extensions()
	c.tablespaces()
	c.roles()
	c.owners()
	if err := c.locales(ctx); err != nil {
		return c.findings, fmt.Errorf("check the target: %w", err)
	}
	c.connections()
	if err := c.fastLoad(ctx); err != nil {
		return c.findings, fmt.Errorf("check the target: %w", err)
	}
	return c.findings, nil
}

type checker struct {
	*Target
	survey   *Survey
	needs    Needs
	plan     plan
	findings preflight.Findings
}

// entries are all entries that will be restored, in archive order.
func (c *checker) entries() []*archive.Entry {
	var entries []*archive.Entry
	for _, e := range c.needs.TOC.Entries {
		if !c.needs.Archive.Skips(e) && !(c.needs.InPlace && e.IsDatabaseLevel()) {
			entries = append(entries, e)
		}
	}
	return entries
}

func (c *checker) writable() {
	if c.survey.standby {
		c.findings.Problem("target", "is a standby, and takes no changes", "connect to its primary")
	}
}

func (c *checker) privileges() {
	role := c.endpoint.Config.User
	if !c.needs.InPlace && !c.CreateDB {
		c.findings.Problem("role "+role, "may not create the staging database on the target",
			"ALTER ROLE "+catalog.Quote(role)+" CREATEDB, connect as another role, or use --in-place with an empty database it owns")
	}
	if len(c.needs.NewRoles) > 0 && !c.CreateRole {
		c.findings.Problem("role "+role, fmt.Sprintf("may not create roles on the target, which lacks %s", roleList(c.needs.NewRoles)),
			"connect as a superuser, create them by hand, or use --no-owner --no-privileges")
	}
	for _, r := range c.needs.NewRoles {
		if r.Superuser && !c.Superuser {
			c.findings.Problem("role "+r.Name, "is a superuser at the source and cannot be created by "+role,
				"create it on the target by hand")
		}
		if r.NoPassword != "" {
			c.findings.Warning("role "+r.Name, r.NoPassword, "set one on the target: \\password "+r.Name)
		}
	}
}

// name refuses what new databases are copied from, and what the next run would
// take for the leftover of a dead one: nothing in such a database matters then.
func (c *checker) name() (fits bool) {
	if c.needs.InPlace {
		return true
	}
	switch {
	case c.Name == "template0" || c.Name == "template1":
		c.findings.Problem("database "+c.Name, "is what the target's new databases are copied from, and is not replaced",
			"name another database; --in-place loads into template1")
	case stagingName.MatchString(c.Name):
		c.findings.Problem("database "+c.Name, "has the name of a staging database, which the next run would drop", "give it another name")
	default:
		return true
	}
	return false
}

func roleList(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.Name
	}
	return preflight.Listing(names)
}

func (c *checker) existing(e *Existing) {
	object := "database " + c.Name
	switch {
	case e == nil && c.needs.InPlace:
		c.findings.Problem(object, "does not exist on the target", "create it, or leave out --in-place")
		return
	case e == nil:
		return
	case c.needs.InPlace && !e.Empty && !c.needs.Partial:
		c.findings.Problem(object, "is not empty on the target", "--in-place needs an empty database: drop what is in it, or leave out --in-place and give --replace")
		return
	case c.needs.InPlace:
		return
	}
	if !e.Empty && !c.needs.Replace {
		c.findings.Problem(object, fmt.Sprintf("is not empty on the target (%s)", human.Bytes(e.Bytes)),
			"--replace keeps it as "+suffixed(c.Name, "_before_YYYYMMDDHHMMSS")+" and puts the new one in its place")
	}
	if e.Foreign {
		c.findings.Problem(object, "belongs to "+e.Owner+" and cannot be renamed by "+c.endpoint.Config.User,
			"connect as its owner or a superuser")
	}
	if len(e.Prepared) > 0 {
		c.findings.Problem(object, "holds prepared transactions on the target: "+preflight.Listing(e.Prepared),
			"COMMIT PREPARED or ROLLBACK PREPARED each of them, connected to that database")
	}
	if len(e.Sessions) > 0 && !c.needs.Disconnect {
		c.findings.Problem(object, "is in use on the target: "+preflight.Listing(e.Sessions),
			"end these sessions, or use --disconnect to end them at the moment of the swap")
	}
}

func (c *checker) extensions() {
	for _, e := range c.entries() {
		if e.Desc != "EXTENSION" {
			continue
		}
		have, found := c.survey.extensions[e.Tag]
		switch want := c.needs.Versions[e.Tag]; {
		case !found:
			c.findings.Problem("extension "+e.Tag, "is not available on the target",
				"use an image that has it, or install it into the target's server")
		case want != "" && want != have:
			c.findings.Warning("extension "+e.Tag, fmt.Sprintf("is version %s at the source and %s on the target", want, have), "")
		}
	}
}

func (c *checker) tablespaces() {
	if c.needs.Archive.NoTablespaces {
		return
	}
	missing := map[string][]string{}
	for _, e := range c.entries() {
		if name := e.Tablespace.String; name != "" && !slices.Contains(c.survey.tablespaces, name) {
			missing[name] = append(missing[name], e.Name())
		}
	}
	if e := c.plan.find(archive.DescDatabase); e != nil && !c.needs.InPlace {
		if m := databaseTablespace.FindStringSubmatch(e.Defn.String); m != nil {
			if name := strings.Trim(m[1], `"`); !slices.Contains(c.survey.tablespaces, name) {
				missing[name] = append(missing[name], e.Name())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		c.findings.Problem("tablespace "+name, "does not exist on the target; it holds "+preflight.Listing(missing[name]),
			"--no-tablespaces puts everything into the default tablespace")
	}
}

var databaseTablespace = regexp.MustCompile(` TABLESPACE = ("[^"]+"|\w+)`)

func (c *checker) roles() {
	have := maps.Clone(c.survey.Roles)
	for _, r := range c.needs.NewRoles {
		have[r.Name] = true
	}
	entries := c.entries()
	for _, name := range archive.RolesNamed(entries, c.needs.Archive) {
		if !have[name] {
			c.findings.Problem("role "+name, "does not exist on the target; it is named by "+c.namedBy(entries, name), c.remedyForRole(entries, name))
		}
	}
}

// namedBy says what needs a role to exist, and first what no option leaves out.
func (c *checker) namedBy(entries []*archive.Entry, role string) string {
	var always, others []string
	seen := map[string]bool{}
	for _, e := range entries {
		one, object := []*archive.Entry{e}, describeEntry(e)
		switch {
		case seen[object], !slices.Contains(archive.RolesNamed(one, c.needs.Archive), role):
			continue
		case slices.Contains(archive.RolesNamed(one, leastRoles(c.needs.Archive)), role):
			always = append(always, object)
		default:
			others = append(others, object)
		}
		seen[object] = true
	}
	return preflight.Listing(append(always, others...))
}

// leastRoles are the options that need the fewest roles.
func leastRoles(opts archive.RestoreOptions) archive.RestoreOptions {
	opts.NoOwner, opts.NoPrivileges = true, true
	return opts
}

// describeEntry names the object that an entry is about.
func describeEntry(e *archive.Entry) string {
	switch e.Desc {
	case archive.DescTableData:
		return "TABLE " + e.Namespace.String + "." + e.Tag
	case archive.DescDatabaseProperties:
		return "the settings of database " + e.Tag
	case archive.DescUserMapping:
		return e.Tag // says that it is one
	}
	return e.Name()
}

// remedyForRole offers what helps against a role that the target lacks, and is not in use already.
func (c *checker) remedyForRole(entries []*archive.Entry, role string) string {
	remedies := []string{"create it"}
	switch {
	case c.needs.RolesUnknown:
		remedies[0] += ", which an archive without a manifest does not say how"
	case c.needs.NoRoles:
		remedies = append(remedies, "let pgberth create it (without --no-roles)")
	}
	needs := func(noOwner, noPrivileges bool) bool {
		opts := c.needs.Archive
		opts.NoOwner, opts.NoPrivileges = opts.NoOwner || noOwner, opts.NoPrivileges || noPrivileges
		return slices.Contains(archive.RolesNamed(entries, opts), role)
	}
	switch {
	case !needs(true, false):
		remedies = append(remedies, "use --no-owner")
	case !needs(false, true):
		remedies = append(remedies, "use --no-privileges")
	case !needs(true, true):
		remedies = append(remedies, "use --no-owner and --no-privileges")
	}
	return orList(remedies)
}

// orList joins alternatives.
func orList(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + ", or " + items[last]
}

// owners checks that the role may give objects away.
func (c *checker) owners() {
	if c.Superuser || c.needs.Archive.NoOwner {
		return
	}
	others := map[string]bool{}
	for _, e := range c.entries() {
		if owner := e.Owner.String; owner != "" && !strings.HasPrefix(owner, "pg_") && !slices.Contains(c.survey.mine, owner) {
			others[owner] = true
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(others)) {
		c.findings.Problem("role "+owner, "owns objects, and "+c.endpoint.Config.User+" is not a member of it on the target",
			"GRANT it, connect as a superuser, or use --no-owner")
	}
}

var (
	libcLocale     = regexp.MustCompile(` (?:LOCALE|LC_COLLATE|LC_CTYPE) = '([^']*)'`) // whatever the provider: libc needs one too
	icuLocale      = regexp.MustCompile(` ICU_LOCALE = '([^']*)'`)
	localeProvider = regexp.MustCompile(` LOCALE_PROVIDER = (\w+)`)
)

// locales tries the locales of the database and of its collations, in a
// transaction that is rolled back.
func (c *checker) locales(ctx context.Context) error {
	probes := map[string][]string{} // options of CREATE COLLATION -> objects
	add := func(options, object string) { probes[options] = append(probes[options], object) }
	if e := c.plan.find(archive.DescDatabase); e != nil && !c.needs.InPlace {
		c.localeProvider(e.Defn.String)
		for _, m := range libcLocale.FindAllStringSubmatch(e.Defn.String, -1) {
			if m[1] != "C" && m[1] != "POSIX" && !strings.Contains(e.Defn.String, "LOCALE_PROVIDER = builtin") {
				add("provider = libc, locale = "+catalog.Literal(m[1]), "locale "+m[1])
			}
		}
		if m := icuLocale.FindStringSubmatch(e.Defn.String); m != nil {
			add("provider = icu, locale = "+catalog.Literal(m[1]), "ICU locale "+m[1])
		}
	}
	for _, e := range c.entries() {
		if _, options, found := strings.Cut(e.Defn.String, "(provider = "); found && e.Desc == "COLLATION" {
			options, _, _ = strings.Cut(options, ");\n")
			add("provider = "+options, "collation "+e.Tag)
		}
	}
	all := slices.Sorted(maps.Keys(probes))
	var steps [][]string
	for _, options := range all {
		steps = append(steps, []string{"BEGIN", "CREATE COLLATION pg_temp.pgberth_probe (" + options + ")"}, []string{"ROLLBACK"})
	}
	answers := atOnce(ctx, c.admin.PgConn(), steps)
	for i, options := range all {
		text, err := missingLocale(answers[2*i].err)
		if err != nil {
			return err
		}
		if text != "" {
			c.findings.Problem(preflight.Listing(probes[options]), "is not available on the target ("+text+")",
				"add the locale to the target's image, or make a database with another locale and use --in-place")
		}
	}
	return nil
}

// localeProvider checks that the target knows the provider of a database's locale.
func (c *checker) localeProvider(createDatabase string) {
	since := map[string]int{"icu": 15, "builtin": 17}
	if m := localeProvider.FindStringSubmatch(createDatabase); m != nil && c.Version/10000 < since[m[1]] {
		c.findings.Problem("locale provider "+m[1], fmt.Sprintf("is not known to PostgreSQL %d for a database", c.Version/10000),
			fmt.Sprintf("use a target of version %d or later, or make a database with another locale and use --in-place", since[m[1]]))
	}
}

// missingLocale tells an error that says why a locale is not to be had from one that does not. "" is for a locale that is there.
func missingLocale(err error) (string, error) {
	var server *pgconn.PgError
	switch {
	case err == nil:
		return "", nil
	case !errors.As(err, &server):
		return "", err
	case server.Routine == "report_newlocale_failure" || strings.Contains(server.Message, "ICU is not supported"):
		return server.Message, nil
	}
	// Anything else says nothing about the locale: an encoding that does not
	// fit this database, a privilege.
	return "", nil
}

// connections checks that the server has room for the run's sessions.
func (c *checker) connections() {
	if free := c.survey.connections; free < c.needs.Sessions {
		c.findings.Problem("target", fmt.Sprintf("has %d connections free, the run needs %d", free, c.needs.Sessions),
			"use fewer --jobs, or raise max_connections")
	}
}
