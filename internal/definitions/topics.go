package definitions

import (
	"slices"
	"strings"
)

// A Topic is a file of catalog queries.
type Topic struct {
	File string
	// Facts says that the queries list further aspects of objects that
	// earlier topics have found: an object without a row is no missing object.
	Facts bool
}

// Topics are all there is to know of definitions. What hangs on an object
// follows it.
var Topics = []Topic{
	{File: "database"},
	{File: "schemas"},
	{File: "extensions"},
	{File: "languages"},
	{File: "types"},
	{File: "relations"},
	{File: "columns"},
	{File: "constraints"},
	{File: "indexes"},
	{File: "sequences"},
	{File: "routines"},
	{File: "triggers"},
	{File: "operators"},
	{File: "textsearch"},
	{File: "foreign"},
	{File: "replication"},
	{File: "statistics"},
	{File: "largeobjects"},
	{File: "privileges", Facts: true},
	{File: "comments", Facts: true},
	{File: "labels", Facts: true},
}

// Hidden marks aspects that may be compared and never shown.
const Hidden = "hidden "

// LargeObjectContents is a query for sizes and hashes of the large objects in a
// range, with a %d for each end of it.
func LargeObjectContents() string {
	sql, err := sqlFiles.ReadFile("sql/largeobject_contents.sql")
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(sql)
}

// Statements returns the queries of a file. One that holds nothing on this
// server is "". Their columns are the kind and the name of an object, perhaps
// the parent it hangs on, and its aspects, as text.
func (d Dialect) Statements(file string) ([]string, error) {
	// The name of the database may hold anything, and is put in when the text has been split.
	const database = "{{.Database}}"
	name := d.Database
	d.Database = database
	sql, err := d.Render(file)
	if err != nil {
		return nil, err
	}
	var list []string
	for statement := range strings.SplitSeq(sql, ";\n") {
		lines := slices.DeleteFunc(strings.Split(statement, "\n"), func(line string) bool {
			return strings.HasPrefix(line, "--") || strings.TrimSpace(line) == ""
		})
		list = append(list, strings.ReplaceAll(strings.Join(lines, "\n"), database, name))
	}
	return list[:len(list)-1], nil // nothing follows the last semicolon
}

// Ordered makes the rows of a query come ordered by kind and object, as Go
// compares strings.
func Ordered(sql string) string {
	return "SELECT * FROM (\n" + sql + "\n) AS q" +
		` ORDER BY kind::text COLLATE "C", convert_to(object::text, pg_client_encoding())`
}
