#!/usr/bin/env bash
# The entry point of the test images. It keeps the contract of the official "postgres" image:
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS and POSTGRES_HOST_AUTH_METHOD (each also
# as NAME_FILE), a temporary server without TCP while a new cluster is initialized, the scripts of
# /docker-entrypoint-initdb.d, and then postgres itself as process 1, not as root.
set -Eeuo pipefail
shopt -s nullglob

die() {
	printf 'Error: %s\n' "$*" >&2
	exit 1
}

# from_file NAME [DEFAULT] sets NAME from the file that NAME_FILE names, or from NAME, or to DEFAULT.
from_file() {
	local name=$1 file="${1}_FILE" value=${2:-}
	if [[ -n ${!name:-} && -n ${!file:-} ]]; then
		die "both $name and $file are set (but are exclusive)"
	fi
	if [[ -n ${!name:-} ]]; then
		value=${!name}
	elif [[ -n ${!file:-} ]]; then
		value=$(<"${!file}")
	fi
	export "$name=$value"
	unset "$file"
}

create_directories() {
	mkdir -p "$PGDATA" /var/run/postgresql
	chmod 00700 "$PGDATA" || true
	chmod 03775 /var/run/postgresql || true
	if [[ $(id -u) == 0 ]]; then
		find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
	fi
}

initialize() {
	if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
		cat >&2 <<-'END'
			Error: Database is uninitialized and superuser password is not specified.
			       You must specify POSTGRES_PASSWORD to a non-empty value for the
			       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".
		END
		exit 1
	fi
	eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"${POSTGRES_INITDB_ARGS:-}"
	local method=$POSTGRES_HOST_AUTH_METHOD
	[[ -n $method ]] || method=$(postgres -C password_encryption "${@:2}")
	printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# psql_init DATABASE [ARG...] runs psql against the temporary server and stops at the first error.
psql_init() {
	PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
		--username "$POSTGRES_USER" --dbname "$@"
}

create_database() {
	[[ $POSTGRES_DB == postgres ]] && return
	psql_init postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
}

run_init_scripts() {
	local script
	for script in /docker-entrypoint-initdb.d/*; do
		printf '%s: %s\n' "$0" "$script"
		case $script in
			*.sh)
				if [[ -x $script ]]; then
					"$script"
				else
					# shellcheck source=/dev/null
					. "$script"
				fi
				;;
			*.sql) psql_init "$POSTGRES_DB" -f "$script" ;;
			*.sql.gz) gunzip -c "$script" | psql_init "$POSTGRES_DB" ;;
			*.sql.xz) xzcat "$script" | psql_init "$POSTGRES_DB" ;;
			*) printf '%s: ignoring %s\n' "$0" "$script" ;;
		esac
	done
}

main() {
	[[ ${1:-} == -* || $# == 0 ]] && set -- postgres "$@"
	local arg
	for arg in "$@"; do
		case $arg in -'?' | --help | --describe-config | -V | --version) exec "$@" ;; esac
	done
	[[ $1 == postgres ]] || exec "$@"

	create_directories
	if [[ $(id -u) == 0 ]]; then
		HOME=/var/lib/postgresql exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
	fi
	if [[ -s $PGDATA/PG_VERSION ]]; then
		printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
		exec "$@"
	fi

	from_file POSTGRES_PASSWORD
	from_file POSTGRES_USER postgres
	from_file POSTGRES_DB "$POSTGRES_USER"
	from_file POSTGRES_INITDB_ARGS
	: "${POSTGRES_HOST_AUTH_METHOD:=}"
	initialize "$@"
	PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
	export PGPASSWORD
	local options
	printf -v options ' %q' "${@:2}" -c listen_addresses= -p "${PGPORT:-5432}"
	NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$options" -w start
	create_database
	run_init_scripts
	pg_ctl -D "$PGDATA" -m fast -w stop
	unset PGPASSWORD
	printf '\nPostgreSQL init process complete; ready for start up.\n\n'
	exec "$@"
}

main "$@"
