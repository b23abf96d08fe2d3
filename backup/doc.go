// Package backup puts backups into a repository: of a database that is running, of what a server has besides its databases, or
// from another repository. What was written is read back before it is published, so that what a repository lists
// is whole.
package backup
