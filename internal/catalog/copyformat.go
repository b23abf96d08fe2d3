// Package catalog reads pg_catalog.
package catalog

import "slices"

// binarySafe are the built-in types whose binary form is the same in every
// supported major version, whose input functions lose nothing, and which refer
// to no object of a database. Domains, enums, composites and ranges are left
// out, as are types whose binary form holds OIDs.
var binarySafe = []uint32{
	16,   // boolean
	17,   // bytea
	18,   // "char"
	19,   // name
	20,   // bigint
	21,   // smallint
	23,   // integer
	25,   // text
	26,   // oid
	114,  // json
	650,  // cidr
	700,  // real
	701,  // double precision
	829,  // macaddr
	869,  // inet
	1042, // character
	1043, // character varying
	1082, // date
	1083, // time
	1114, // timestamp
	1184, // timestamptz
	1186, // interval
	1266, // timetz
	1560, // bit
	1562, // bit varying
	1700, // numeric
	2950, // uuid
	3802, // jsonb

	1000, // boolean[]
	1001, // bytea[]
	1002, // "char"[]
	1003, // name[]
	1005, // smallint[]
	1007, // integer[]
	1009, // text[]
	1014, // character[]
	1015, // character varying[]
	1016, // bigint[]
	1021, // real[]
	1022, // double precision[]
	1028, // oid[]
	1040, // macaddr[]
	1041, // inet[]
	1115, // timestamp[]
	1182, // date[]
	1183, // time[]
	1185, // timestamptz[]
	1187, // interval[]
	1231, // numeric[]
	1270, // timetz[]
	1561, // bit[]
	1563, // bit varying[]
	199,  // json[]
	651,  // cidr[]
	2951, // uuid[]
	3807, // jsonb[]
}

// BinarySafe reports whether rows with columns of these types, given by their
// OIDs, can be copied in binary format between any two supported servers. It
// is faster than text, and the only format that carries values whose text is
// longer than a gigabyte.
func BinarySafe(typeOIDs []uint32) bool {
	for _, oid := range typeOIDs {
		if !slices.Contains(binarySafe, oid) {
			return false
		}
	}
	return true
}
