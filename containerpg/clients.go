package containerpg

import "strconv"

// runClient becomes the pg_dump of major version $1, with the further arguments. It is looked
// for where images keep them; Debian's pg_wrapper, which would choose among them by rules of its
// own, is left out.
const runClient = `major=$1
shift
IFS=:
for d in $PATH /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /opt/bitnami/postgresql/bin /usr/local/bin; do
	f=$d/pg_dump
	[ -x "$f" ] || continue
	f=$(readlink -f "$f") || continue
	case $f in */pg_wrapper) continue ;; esac
	case $("$f" --version) in *"(PostgreSQL) $major" | *"(PostgreSQL) $major"[!0-9]*) exec "$f" "$@" ;; esac
done
echo "there is no pg_dump $major in the image" >&2
exit 127
`

// ClientCommand is a [RunSpec] command: the pg_dump of a major version that an image holds, with
// arguments. Looking for it in a container of its own would take as long as running it. If there
// is none its exit status is 127, and it says so.
func ClientCommand(major int, args ...string) []string {
	return append([]string{"/bin/sh", "-c", runClient, "pg_dump", strconv.Itoa(major)}, args...)
}
