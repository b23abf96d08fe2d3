package definitions

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// A Dialect writes the catalog queries for one server.
type Dialect struct {
	Major         int    // of the server
	Lowest        int    // the lower major of both
	Database      string // the literal name under which both databases are compared
	SchemaOnly    bool
	Subscriptions bool // the database has some
}

// namespaces are the columns that hold an object's schema. Objects of other
// catalogs are in no schema.
var namespaces = map[string]string{
	"pg_class": "relnamespace", "pg_proc": "pronamespace", "pg_type": "typnamespace",
	"pg_collation": "collnamespace", "pg_conversion": "connamespace", "pg_operator": "oprnamespace",
	"pg_opclass": "opcnamespace", "pg_opfamily": "opfnamespace", "pg_statistic_ext": "stxnamespace",
	"pg_ts_parser": "prsnamespace", "pg_ts_template": "tmplnamespace",
	"pg_ts_dict": "dictnamespace", "pg_ts_config": "cfgnamespace",
}

// firstNormalOID is the first OID that initdb leaves to users.
const firstNormalOID = 16384

// Render returns a file's SQL for this server.
//
// Functions of the templates:
//
//	objects CATALOG ALIAS  the users' objects of a catalog, and their identity as i
//	identity ADDRESS       the type, schema and identity of a catalog's object
//	member CATALOG OID     whether an object belongs to an extension
//	internal CATALOG OID   whether an object was made along with another
//	userSchema NAME        whether a schema is a user's
//	since MAJOR A [B]      A on servers from that major on, else B, or NULL
//	both MAJOR A [B]       the same, but going by the older of both servers
//	words CODE "a=x,b=y"   a catalog's one-letter code, spelled out
//	sorted ARRAY           an array whose order means nothing
//	locale PREFIX          the locale of an ICU or built-in provider
func (d Dialect) Render(file string) (string, error) {
	text, err := sqlFiles.ReadFile("sql/" + file + ".sql")
	if err != nil {
		return "", err
	}
	tmpl, err := template.New(file).Option("missingkey=error").Funcs(template.FuncMap{
		"objects": objects, "identity": identity, "member": member, "internal": internal, "userSchema": userSchema,
		"since":  func(major int, a string, b ...string) string { return either(d.Major >= major, a, b) },
		"both":   func(major int, a string, b ...string) string { return either(d.Lowest >= major, a, b) },
		"words":  words,
		"sorted": sorted,
		"locale": d.locale,
	}).Parse(string(text))
	if err != nil {
		return "", err
	}
	var sql strings.Builder
	if err := tmpl.Execute(&sql, d); err != nil {
		return "", err
	}
	return sql.String(), nil
}

func objects(catalog, alias string) string {
	users := fmt.Sprintf("o.oid >= %d", firstNormalOID)
	if column, found := namespaces[catalog]; found {
		users = fmt.Sprintf("o.%s IN (SELECT n.oid FROM pg_namespace n WHERE %s)", column, userSchema("n.nspname"))
	}
	return fmt.Sprintf("(SELECT o.* FROM %[1]s o WHERE %[2]s AND NOT %[3]s) %[4]s"+
		" CROSS JOIN LATERAL %[5]s AS i",
		catalog, users, member(catalog, "o.oid"), alias,
		identity(fmt.Sprintf("'%s'::regclass, %s.oid, 0", catalog, alias)))
}

// identity names an object. Majors differ in which types of pg_catalog they
// qualify, so none is, and in how they call a transform.
func identity(address string) string {
	return `(SELECT type, schema, regexp_replace(regexp_replace(identity, '([ (,])pg_catalog\.', '\1', 'g'),` +
		` '^(for .+) on (language )', '\1 \2') AS identity FROM pg_identify_object(` + address + "))"
}

func member(catalog, oid string) string { return depends(catalog, oid, 'e') }

func internal(catalog, oid string) string { return depends(catalog, oid, 'i') }

func depends(catalog, oid string, how rune) string {
	return fmt.Sprintf("EXISTS (SELECT FROM pg_depend x WHERE x.classid = '%s'::regclass AND x.objid = %s AND x.deptype = '%c')",
		catalog, oid, how)
}

func userSchema(name string) string {
	return fmt.Sprintf("(%[1]s !~ '^pg_' AND %[1]s <> 'information_schema')", name)
}

func either(first bool, a string, b []string) string {
	switch {
	case first:
		return a
	case len(b) > 0:
		return b[0]
	}
	return "NULL"
}

func words(code, list string) string {
	var sql strings.Builder
	sql.WriteString("CASE " + code)
	for entry := range strings.SplitSeq(list, ",") {
		letter, word, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&sql, " WHEN '%s' THEN '%s'", letter, word)
	}
	return sql.String() + " END"
}

func sorted(array string) string {
	return fmt.Sprintf(`(SELECT array_agg(o ORDER BY o COLLATE "C") FROM unnest(%s) o)`, array)
}

func (d Dialect) locale(prefix string) string {
	switch {
	case d.Major >= 17:
		return prefix + "locale"
	case d.Major >= 15:
		return prefix + "iculocale"
	}
	return "NULL"
}
