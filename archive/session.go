package archive

import (
	"fmt"
	"strings"
)

// RestoreOptions says what of an archive is left out. The zero value leaves out nothing.
type RestoreOptions struct {
	NoOwner             bool
	NoPrivileges        bool
	NoTablespaces       bool
	NoTableAccessMethod bool
	NoComments          bool
	NoSecurityLabels    bool
	NoPublications      bool
	NoSubscriptions     bool
	NoPolicies          bool
	NoStatistics        bool
}

// isAbout reports whether the entry is a comment on, or a label of, an object of a type.
func (e *Entry) isAbout(object string) bool {
	return (e.Desc == DescComment || e.Desc == DescSecurityLabel) && strings.HasPrefix(e.Tag, object)
}

// Skips reports whether the options leave the entry out.
func (o *RestoreOptions) Skips(e *Entry) bool {
	// What is said of an object goes with it.
	if o.NoPublications && e.isAbout("PUBLICATION ") || o.NoSubscriptions && e.isAbout("SUBSCRIPTION ") {
		return true
	}
	switch e.Desc {
	case DescACL, DescACLLanguage, DescDefaultACL:
		return o.NoPrivileges
	case DescComment:
		return o.NoComments
	case DescSecurityLabel:
		return o.NoSecurityLabels
	case "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA":
		return o.NoPublications
	case "SUBSCRIPTION", "SUBSCRIPTION TABLE":
		return o.NoSubscriptions
	case DescPolicy:
		return o.NoPolicies
	case DescStatisticsData:
		return o.NoStatistics
	}
	return false
}

// A Session turns entries into the SQL that restores them over one connection. An entry's
// definition leans on session settings that the archive does not spell out; a Session knows
// which are in force and sends them when they change. It is not safe for concurrent use:
// each connection has its own.
//
// The statements are meant for the simple query protocol: a definition is one text that may
// hold several statements.
type Session struct {
	toc  *TOC
	opts RestoreOptions

	ownPaths   bool // an old archive, whose entries rely on a search path each
	searchPath string
	tablespace NullString // invalid: not known
	tableAM    NullString
}

// NewSession makes a session for a fresh connection.
func NewSession(toc *TOC, opts RestoreOptions) *Session {
	return &Session{toc: toc, opts: opts, ownPaths: toc.SearchPath() == ""}
}

// Reset forgets the settings in force, for a new connection or after a rollback.
func (s *Session) Reset() {
	s.searchPath, s.tablespace, s.tableAM = "", NullString{}, NullString{}
}

// Preamble returns the statements every connection starts with. serverMajor is the target's
// major version.
func (s *Session) Preamble(serverMajor int) []string {
	out := []string{
		"SELECT pg_catalog.set_config('search_path', '', false);",
		"SET statement_timeout = 0;",
		"SET lock_timeout = 0;",
		"SET idle_in_transaction_session_timeout = 0;",
	}
	if serverMajor >= 14 {
		out = append(out, "SET idle_session_timeout = 0;")
	}
	if serverMajor >= 17 {
		out = append(out, "SET transaction_timeout = 0;")
	}
	out = append(out, "SET client_encoding = "+QuoteLiteral(s.toc.Encoding())+";")
	if s.toc.StdStrings() {
		out = append(out, "SET standard_conforming_strings = on;")
	} else {
		out = append(out, "SET standard_conforming_strings = off;", "SET escape_string_warning = off;")
	}
	if path := s.toc.SearchPath(); path != "" {
		out = append(out, path)
	}
	return append(out,
		"SET check_function_bodies = false;",
		"SET xmloption = content;",
		"SET client_min_messages = warning;",
		"SET row_security = off;")
}

// Statements returns, in order, what is to be sent for an entry. It returns nothing for
// session settings, for entries that the options leave out, and for stored rows and large
// object contents, which are not SQL.
func (s *Session) Statements(e *Entry) ([]string, error) {
	if s.opts.Skips(e) || e.IsSetting() || e.Parts() == 0 || e.Parts() == PartData && e.HasData() {
		return nil, nil
	}
	definition, err := s.definition(e)
	if err != nil {
		return nil, err
	}
	out := append(s.settings(e), definition...)
	if !s.opts.NoOwner {
		owner, err := OwnerSQL(e)
		if err != nil {
			return nil, err
		}
		out = append(out, owner...)
	}
	if e.isPartitioned() && e.TableAM.String != "" && !s.opts.NoTableAccessMethod {
		out = append(out, "ALTER TABLE "+e.quotedName(QuoteIdent)+" SET ACCESS METHOD "+QuoteIdent(e.TableAM.String)+";")
	}
	return out, nil
}

// settings brings the session to what the entry's definition leans on.
func (s *Session) settings(e *Entry) []string {
	var out []string
	if ns := e.Namespace.String; s.ownPaths && ns != "" && ns != s.searchPath {
		s.searchPath = ns
		out = append(out, "SET search_path = "+QuoteIdent(ns)+", pg_catalog;")
	}
	if e.Tablespace.Valid && e.Tablespace != s.tablespace && !s.opts.NoTablespaces {
		s.tablespace = e.Tablespace
		value := "''"
		if e.Tablespace.String != "" {
			value = QuoteIdent(e.Tablespace.String)
		}
		out = append(out, "SET default_tablespace = "+value+";")
	}
	if e.TableAM.Valid && !e.isPartitioned() && e.TableAM != s.tableAM && !s.opts.NoTableAccessMethod {
		s.tableAM = e.TableAM
		out = append(out, "SET default_table_access_method = "+QuoteIdent(e.TableAM.String)+";")
	}
	return out
}

func (e *Entry) isPartitioned() bool { return e.RelKind == 'p' }

// definition is the SQL that creates the object itself.
func (s *Session) definition(e *Entry) ([]string, error) {
	switch {
	case e.Desc == DescBlobMetadata:
		oids, err := e.LargeObjects()
		if err != nil {
			return nil, err
		}
		out := make([]string, len(oids))
		for i, oid := range oids {
			out[i] = fmt.Sprintf("SELECT pg_catalog.lo_create('%d');", oid)
		}
		return out, nil
	case e.isGroupACL():
		return s.toc.groupACL(e)
	case e.Desc == DescSchema && s.opts.NoOwner && !strings.HasPrefix(e.Defn.String, "--"):
		return []string{"CREATE SCHEMA " + QuoteIdent(e.Tag) + ";"}, nil
	}
	if l := (lexer{sql: e.Defn.String}); !l.more() {
		return nil, nil // a comment, such as "not creating schema public"
	}
	return []string{e.Defn.String}, nil
}

func (l *lexer) more() bool {
	_, ok := l.next()
	return ok
}
