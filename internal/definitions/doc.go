// Package definitions knows what the objects of a database are made of, aspect
// by aspect, from the catalogs of a server of any major version from 13 on. The
// queries are in folder sql, one file per topic, each a table of aspects.
// Objects are known by name, never by OID.
//
// The queries expect a session of package session, whose search_path is empty.
package definitions
