// Package archive reads and writes PostgreSQL's own archives, those of pg_dump and pg_restore:
// tables of contents of versions 1.12 to 1.16 (pg_dump 9.0 to 18), and the directory, custom and
// tar formats.
//
// A [TOC] is the table of contents: a [Header] and one [Entry] per object, with its SQL, owner and
// dependencies. [ReadTOC] reads one, [TOC.WriteTo] writes it byte for byte as it was, and
// [TOC.Convert] brings it to the layout of another version.
//
// # Reading
//
// [Open] opens an archive at rest, whatever its format, for reading in any order; its rows and
// large objects come decompressed and proved complete. An archive that is a [Splitter] hands the rows
// of one table to several readers. [NewCustomReader] follows a custom archive through a pipe.
// [Verify] reads every byte.
//
// # Writing
//
// [CreateDirectory] and [NewCustomWriter] write archives that stock pg_restore restores. Rows go in
// by any number of streams of a [TableWriter]; a [Compressor], shared by all tables, compresses
// blocks of them on all cores, and bounds what is in memory. With zstd each block is a frame
// of its own, and a seek table in a skippable frame at the end of the file says where they are.
// The [Manifest] holds what stock archives leave out, and what proves that an archive is whole.
//
// # Restoring
//
// A restore takes from here what pg_restore knows and the archive does not spell out:
//
//   - [Entry.Parts], [Entry.Pass] and [TOC.Section] say what an entry restores and when;
//   - a [Session] turns entries into SQL for one connection, with owners and session settings;
//   - a [Graph] says which entries may run at once;
//   - [RolesNamed] lists the roles the SQL needs;
//   - [RenameDatabase] and [WithoutTablespace] adapt the SQL of database-level entries.
//
// Archives are not trusted: what they claim is checked before memory is spent on it, and names
// in them are never taken as paths.
package archive
