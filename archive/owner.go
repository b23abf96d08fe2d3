package archive

import (
	"fmt"
	"strings"
)

// OwnerSQL returns the statements that give the entry's object to its owner: one for most
// entries, one for each large object of a group, none for objects without an owner of their own.
func OwnerSQL(e *Entry) ([]string, error) {
	if e.Owner.String == "" || e.DropStmt.String == "" {
		return nil, nil
	}
	targets, err := ownedObjects(e)
	if err != nil {
		return nil, err
	}
	statements := make([]string, len(targets))
	for i, target := range targets {
		statements[i] = "ALTER " + target + " OWNER TO " + QuoteIdent(e.Owner.String) + ";"
	}
	return statements, nil
}

// ownedObjects names the entry's objects as ALTER takes them.
func ownedObjects(e *Entry) ([]string, error) {
	switch e.Desc {
	case "COLLATION", "CONVERSION", "DOMAIN", "FOREIGN TABLE", "MATERIALIZED VIEW", "SEQUENCE", "STATISTICS",
		"TABLE", "TEXT SEARCH DICTIONARY", "TEXT SEARCH CONFIGURATION", "TYPE", "VIEW", "DATABASE",
		"PROCEDURAL LANGUAGE", "SCHEMA", "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "SERVER", "PUBLICATION",
		"SUBSCRIPTION":
		return []string{e.Desc + " " + e.quotedName(QuoteIdent)}, nil
	case DescBlob, DescBlobMetadata:
		oids, err := e.LargeObjects()
		if err != nil {
			return nil, err
		}
		targets := make([]string, len(oids))
		for i, oid := range oids {
			targets[i] = fmt.Sprintf("LARGE OBJECT %d", oid)
		}
		return targets, nil
	case "AGGREGATE", "FUNCTION", "PROCEDURE", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY":
		// Only the drop statement has the signature.
		target, ok := strings.CutPrefix(e.DropStmt.String, "DROP ")
		if !ok {
			return nil, fmt.Errorf("entry %q: unexpected drop statement %.80q", e.Name(), e.DropStmt.String)
		}
		return []string{strings.TrimRight(target, ";\r\n")}, nil
	case "CAST", "CHECK CONSTRAINT", "CONSTRAINT", "FK CONSTRAINT", "DATABASE PROPERTIES", "DEFAULT", "INDEX",
		"RULE", "TRIGGER", "ROW SECURITY", "POLICY", "USER MAPPING":
		return nil, nil
	}
	return nil, fmt.Errorf("entry %q: objects of this type have no owner that can be set", e.Name())
}
