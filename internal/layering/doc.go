// Package layering holds the rules about who may import whom, as a test. It has
// no code of its own.
//
// Imports go down only:
//
//	cmd
//	migrate, drill, compare
//	dump, restore, containerpg, repository
//	archive
//	internal
//	progress
//
// Packages of one layer do not know each other, but for those below internal.
// So dump, restore and containerpg stay apart, and migrate alone joins dump to
// restore. Terminals, flags, exit statuses and logs belong to cmd, the docker
// client to containerpg; libraries do not print. Helpers of tests are for tests.
package layering
